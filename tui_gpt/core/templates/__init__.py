"""Templates: prompts with blanks, and with examples where a model is to see first how it is done."""

from tui_gpt.core.templates.finding import FoundTemplate, find_template, list_templates, template_names, template_origin
from tui_gpt.core.templates.template import Blank, Filled, Template

__all__ = [
    "Blank",
    "Filled",
    "FoundTemplate",
    "Template",
    "find_template",
    "list_templates",
    "template_names",
    "template_origin",
]
