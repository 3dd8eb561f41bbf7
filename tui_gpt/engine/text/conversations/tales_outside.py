"""Short plots about things lost and found, storms, maps, little animals, trees and snow."""

from __future__ import annotations

from tui_gpt.engine.text.conversations.tale import Tale, fact, yes_and_no
from tui_gpt.engine.text.stories.plot import Plot, table

_WENT = (
    fact("where", "[Where did {h} go?|Where did the {hkind} go?]", "{h} went {to}.", "{place}"),
    *yes_and_no("Did {h} go {?}? = {h} went {?}", "{to}", "{place}", "{wto}"),
)
_PLAYED = (
    fact("where", "[Where was {h} playing?|Where did {h} play?|Where was the {hkind}?]", "{h} was playing {at}.",
         "{place}"),
    *yes_and_no("Was {h} playing {?}? = {h} was playing {?}", "{at}", "{place}", "{wat}"),
)  # fmt: skip
_FRIEND = fact("who", "[Who was the friend of {h}?|What was the name of the friend?]", "The friend of {h} was {f}.",
               "{f}")  # fmt: skip

LOST = Tale(
    Plot(
        "short lost thing",
        """
        <once> <one_day> {h} went {to} with {his} {ctoy}. [{He} played there for a long time.|{He} ran and
        jumped and sang.|<look_around>] But when {he} wanted to go home, the {ctoy} was gone. <sad> {His} friend
        {f} came. "[We will look for it together|I will help you look for it]," said {f}. They looked {spot}.
        [It was not there.|There was only {junk}.] Then they looked {spot2}, and there lay the {ctoy}! <glad>
        [<thank_f>|<friends_end>|<bed>|]
        """,
        tables=(
            table("junk", """
                - an old shoe
                - a round stone
                - an empty nest
                - a green beetle
                - a piece of rope
                - a fat worm
            """),
        ),
    ),
    ("who lost {a_toy} = {ctoy} / gone", "and a lost {toy} = {toy} / gone", "who lost something = gone"),
    (
        fact("what", "[What did {h} lose?|What was gone?|What did the {hkind} lose?]", "{h} lost the {ctoy}.",
             "{ctoy}"),
        fact("who", "[Who helped {h}?|Who came to help?|Who helped the {hkind}?]", "{f} helped {h}.", "{f}"),
        fact("where", "[Where was the {toy}?|Where did they find the {toy}?|Where did {h} find the {toy}?]",
             "They found the {toy} {spot2}.", "{spot2}"),
        fact("why", "[Why was {h} sad?|Why was the {hkind} sad?]", "{h} was sad because the {ctoy} was gone.", "{toy}"),
        fact("ending", "[How did it end?|How did the story end?|What happened in the end?]",
             "{h} and {f} found the {toy} {spot2}, and {h} was happy.", "{toy}"),
        *yes_and_no("Did {h} lose {?}? = {h} lost the {ctoy}", "{a_toy}", "{ctoy}", "{a_wtoy}"),
        _FRIEND,
        *_WENT,
    ),
)  # fmt: skip

LITTLE_ONE = Tale(
    Plot(
        "short little animal",
        """
        <once> <one_day> {h} and {his} friend {f} went {to}. <look_around> Suddenly they heard a [small|soft]
        sound. They looked {spot}, and there sat a {pet}. It {trouble}. "[Poor little thing|We have to help
        it]," said {f}. {rescue} They gave it {petfood}. [Soon it was strong again.|After a while it felt much
        better.] Then the {petnoun} {leaves} to its mother. [<both_glad>|{evening} {h} and {f} walked home, and
        they felt warm inside.|<bed>]
        """,
        wild=True,
        tables=(
            table("pet petnoun trouble rescue petfood leaves", """
                - baby bird / bird / had fallen out of its nest / {f} held the branch, and {h} put it back. / a few
                  small seeds / hopped
                - tiny duckling / duckling / could not find its way to the water / {h} took it in {his} {hands} and
                  carried it to the water. / some soft grass / swam
                - young deer / deer / had its leg between two branches / {h} pulled one branch and {f} pulled the
                  other. / some green leaves / ran
                - little turtle / turtle / lay on its back / {h} and {f} turned it over, very slowly. / a sweet berry /
                  walked
                - baby goose / goose / was caught in an old net / {f} held the net, and {h} pulled out one thread after
                  the other. / a little clover / ran
                - baby swan / swan / was cold and wet / {h} dried it with {his} scarf. / some water plants / swam
                - baby owl / owl / was too tired to fly / {h} made a bed of moss, and {f} put it inside. / some water /
                  flew
            """),
        ),
    ),
    ("who helped a {pet} = {pet}", "and a {pet} = {pet}"),
    (
        fact("what", "[What did they find?|What did {h} and {f} find?|What sat {spot}?]", "They found a {pet}.",
             "{pet}"),
        fact("what", "[What did they give the {petnoun}?|What did {h} and {f} give the {petnoun}?]",
             "They gave it {petfood}.", "{petfood}"),
        fact("where", "[Where was the {petnoun}?|Where did they find the {petnoun}?|Where did the {petnoun} sit?]",
             "The {petnoun} was {spot}.", "{spot}"),
        fact("who", "[Who went with {h}?|Who went along with {h}?]", "{f} went with {h}.", "{f}"),
        fact("ending", "[How did it end?|How did the story end?|What happened in the end?]",
             "The {petnoun} {leaves} to its mother, and {h} and {f} were happy.", "{petnoun} / mother"),
        *yes_and_no("Did they find {?}? = they found a {pet}", "a {pet}", "{pet}", "{a_wtoy}"),
        _FRIEND,
        *_WENT,
    ),
    ("place",),
)  # fmt: skip

STORM = Tale(
    Plot(
        "short storm",
        """
        <once> <one_day> {h} and {his} friend {f} were playing {at}. [At first the sky was blue.|It was warm and
        very still.] Then a storm came. [The wind became stronger and stronger.|The trees bent in the
        wind.|Leaves flew through the air.] "[We must go home|A storm is coming]!" [called|cried] {f}. {h}
        [looked around|thought quickly]. "Come, {idea}!" {he} called. They ran and sat down {hidden}. [There
        they were dry.|They sat close together.] They {passing} until the storm went away. Then {p} came and
        took them home. [<meal>|<bed>|]
        """,
        wild=True,
        tables=(
            table("idea hidden", """
                - there is a cave in the rocks / in a dry cave
                - I know an old hut near here / in an old hut
                - we can go under the tree / under a thick tree
                - behind the big rock / behind a big rock
                - up here, under the roof of the old mill / in the old mill
                - we can hide under the bridge / under the bridge
            """),
            table("passing", """
                - sang songs
                - counted after each flash
                - told each other stories
                - thought of names for the clouds
            """),
        ),
    ),
    ("in a storm = storm", "and a storm = storm", "who was in a storm = storm"),
    (
        fact("what", "[What happened when they were playing?|What came when they were playing?]",
             "A storm came when they were playing.", "storm"),
        fact("where", "[Where did they sit?|Where did they sit in the storm?|Where did {h} and {f} sit?]",
             "They sat {hidden}.", "{hidden}"),
        fact("who", "[Who was with {h}?|Who was there with {h}?]", "{f} was with {h}.", "{f}"),
        fact("who", "[Who took them home?|Who came and took them home?]", "{p} took them home.",
             "{p}"),
        fact("what", "[What did they do in the storm?|What did they do {hidden}?]", "They {passing}.", "{passing}"),
        fact("ending", "[How did it end?|How did the story end?|What happened in the end?]",
             "The storm went away, and {p} took {h} and {f} home.", "home / {p}"),
        _FRIEND,
        *_PLAYED,
    ),
    ("place",),
)  # fmt: skip

MAP = Tale(
    Plot(
        "short map",
        """
        <once> <one_day> {h} found an old map {found}. "[It is a treasure map|This must be a treasure map]!"
        {he} cried, and {he} ran to {his} friend {f}. They followed the map {to}. <look_around> They looked
        {spot}, and there they found {a_box}. [{h} could hardly wait.|"You open it," said {f}.|"Open it!"
        whispered {f}.] Inside there was {treasure}. <both_glad> [<friends_end>|{evening}|]
        """,
        tables=(
            table("found", """
                - in an old book
                - under the bed
                - in a bottle
                - behind a picture
                - in a dusty box
                - in an old coat
            """),
            table("a_box", """
                - a little wooden box
                - a small tin
                - an old chest
                - a blue jar
                - a leather bag
            """),
            table("treasure", """
                - a bag of nuts
                - a book with empty pages
                - a silver bell
                - a lamp and some paper stars
                - a jar of blackberry jam
                - a wooden flute
                - a bag of flower seeds
            """),
        ),
    ),
    ("who found a map = map", "and a treasure map = treasure map", "who found {treasure} = {treasure}"),
    (
        fact("what", "[What did {h} find?|What did {h} find {found}?|What did the {hkind} find?]",
             "{h} found an old map.", "map"),
        fact("where", "[Where was the map?|Where did {h} find the map?]", "The map was {found}.", "{found}"),
        fact("where", "[Where did the map lead them?|Where did they go?|Where did {h} and {f} go?]",
             "The map led them {to}.", "{place}"),
        fact("what", "[What was inside?|What was in it?]", "Inside there was {treasure}.",
             "{treasure}"),
        fact("what", "[What did they find {spot}?|What did {h} and {f} find?]", "They found {a_box}.", "{a_box}"),
        fact("who", "[Who went with {h}?|Who went along with {h}?]", "{f} went with {h}.", "{f}"),
        fact("ending", "[How did it end?|How did the story end?|What happened in the end?]",
             "{h} and {f} found {treasure}, and they were happy.", "{treasure}"),
        *yes_and_no("Did they go {?}? = the map led them {?}", "{to}", "{place}", "{wto}"),
        _FRIEND,
    ),
    ("place",),
)  # fmt: skip

TROUBLE = Tale(
    Plot(
        "short trouble with a thing",
        """
        <once> <one_day> {h} was playing {at} with {his} {ctoy}. <look_around> Then the {toy} {problem}. "Oh
        no!" cried {h}. [{He} tried and tried, but it did not work.|<sad>] {His} friend {f} [came to help|came
        along the path]. {Solution}, and {h} had the {toy} again. [<glad>|<both_glad>]
        [<thank_f>|<friends_end>|<bed>|]
        """,
        tables=(
            table("problem solution solved", """
                - fell into a puddle / {f} pulled it out with a long stick / long stick
                - fell into a deep hole / {f} pulled it out with a rope / rope
                - fell into a bush / {f} pulled the branches away / branches
                - fell between two rocks / {f} moved one of the rocks / rocks
                - landed behind a high wall / {f} climbed over the wall / wall
                - landed in a tree / {f} climbed up and took it down / climbed
            """),
        ),
    ),
    ("and {a_toy} = {ctoy}", "with {a_toy} = {ctoy}", "who had {a_toy} = {ctoy}"),
    (
        fact("what", "[What happened to the {toy}?|What happened to the {ctoy}?]", "The {toy} {problem}.", "{problem}"),
        fact("what", "[What did {f} do?|How did {f} help?]", "{Solution}.", "{solved}"),
        fact("who", "[Who helped {h}?|Who came to help?|Who helped the {hkind}?]", "{f} helped {h}.", "{f}"),
        fact("what", "[What did {h} play with?|What did the {hkind} play with?]",
             "{h} played with the {ctoy}.", "{ctoy}"),
        fact("ending", "[How did it end?|How did the story end?|What happened in the end?]",
             "{f} helped {h}, and {h} had the {toy} again.", "{toy}"),
        *yes_and_no("Did {h} play with {?}? = {h} played with the {ctoy}", "{a_toy}", "{ctoy}", "{a_wtoy}"),
        _FRIEND,
        *_PLAYED,
    ),
)  # fmt: skip

SNOW = Tale(
    Plot(
        "short snow",
        """
        <once> One winter morning, {h} looked out of the window. Everything was white! {He} ran to {his} friend
        {f}. [The snow was deep and soft.|Snow lay on every branch.] "[Let us make {figure}|I want to make
        {figure}]," said {h}. They rolled and carried and pushed. For the nose they took {nose}. "[What shall we
        call it?|It needs a name]," said {f}. "I think its name is {snowname}," said {h}.
        [<both_glad>|<bed>|<friends_end>]
        """,
        tables=(
            table("figure noun", """
                - a snow bear / bear
                - a big snowman / snowman
                - a snow dog / dog
                - a snow lady / lady
                - a snow king / king
                - a snow elephant / elephant
            """),
            table("nose", """
                - a carrot
                - a red button
                - a pine cone
                - a small potato
                - an old spoon
                - a round apple
            """),
            table("snowname", """
                - Frosty Fred
                - Winter Willy
                - Snowy
                - Mister White
                - Cold Toes
                - Big Flake
                - Sugar Nose
            """),
        ),
    ),
    ("in the snow = snow", "and {figure} = {figure}", "who made {figure} = {figure}"),
    (
        fact("what", "[What did they make?|What did {h} and {f} make?|What did {h} make?]", "They made {figure}.",
             "{noun}"),
        fact("what", "[What did they take for the nose?|What did they use for the nose?]",
             "For the nose they took {nose}.", "{nose}"),
        fact("what", "[What was its name?|What did they call it?|What was the name of the {noun}?]",
             "Its name was {snowname}.", "{snowname}"),
        fact("who", "[Who helped {h}?|Who helped the {hkind}?]", "{f} helped {h}.", "{f}"),
        fact("ending", "[How did it end?|How did the story end?|What happened in the end?]",
             "{h} and {f} made {figure} and called it {snowname}.", "{snowname}"),
        *yes_and_no("Was the nose {?}? = the nose was {nose}", "{nose}", "{nose}", "a long stick"),
        _FRIEND,
    ),
    (),
)  # fmt: skip

TALES = (LOST, LOST, LITTLE_ONE, STORM, MAP, TROUBLE, TROUBLE, SNOW)
