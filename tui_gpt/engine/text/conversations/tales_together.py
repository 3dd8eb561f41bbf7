"""Short plots about friends, gifts, help, sharing, fear and noises in the night."""

from __future__ import annotations

from tui_gpt.engine.text.conversations.tale import Tale, fact, yes_and_no
from tui_gpt.engine.text.stories.plot import Plot, table

_END = "[How did it end?|How did the story end?|What happened in the end?]"
_FRIEND = fact("who", "[Who was the friend of {h}?|What was the name of the friend?]", "The friend of {h} was {f}.",
               "{f}")  # fmt: skip

NEW_FRIEND = Tale(
    Plot(
        "short new friend",
        """
        <once> {He} had nobody to play with. <one_day> {h} went {to} with {his} {ctoy}. <look_around> There,
        {spot}, sat {a_f}. "Hello, my name is {h}," said {h}. "[Do you want to play with me?|Shall we play with
        my {toy}?]" "[I would love to|Oh yes, I would like that]!" said the {fkind}. "I am {f}." [They played
        until the sun went down.|They played with the {toy} and did not see how late it was.]
        [<friends_end>|<tell_home>]
        """,
        things="toys",
    ),
    ("who found a friend = nobody", "and a new friend = nobody", "who had nobody to play with = nobody to play with"),
    (
        fact("who", "[Whom did {h} meet?|Who sat {spot}?|Whom did {h} meet {at}?]", "{h} met {f}.", "{f}"),
        fact("what", "[What did {h} take along?|What did {h} have?]", "{h} had the {ctoy}.", "{ctoy}"),
        fact("where", "[Where was {f}?|Where did {f} sit?|Where did {h} meet {f}?]", "{f} sat {spot}.", "{spot}"),
        fact("where", "[Where did {h} go?|Where did the {hkind} go?]", "{h} went {to}.", "{place}"),
        fact("ending", _END, "{h} and {f} played together and were friends.", "{h} / {f}"),
        fact("why", "[Why was {h} happy in the end?|Why was {h} happy?]", "{h} was happy because {he} had a friend.",
             "friend"),
        *yes_and_no("Did {h} go {?}? = {h} went {?}", "{to}", "{place}", "{wto}"),
        *yes_and_no("Did {h} meet {?}? = {h} met {f}", "{f}", "{f}", "{w}"),
    ),
)  # fmt: skip

GIFT = Tale(
    Plot(
        "short gift",
        """
        <once> It was the birthday of {e}, who lived {e_home}. {h} had no money, but {he} had an idea. "I will
        make {gift}!" said {h}. {His} friend {f} helped {him}, and they worked [until it was dark|for a long
        time]. [Then the day came.|At last it was finished.] "This is for you," said {h}. "[It is the best gift
        of all|Just what I needed]!" said {e}. {Ehe} gave them {food}. [<both_glad>|<bed>|<glad>]
        """,
        tables=(
            table("gift", """
                - a warm scarf
                - a box for pens
                - a house for birds
                - a little lamp
                - a bookmark
                - a small bench
                - a jar of jam
                - a crown of flowers
                - a paper bird
            """),
        ),
    ),
    ("and a birthday = birthday", "who made {gift} = {gift}", "and the birthday of {e} = birthday / {e}"),
    (
        fact("who", "[Who had a birthday?|Whose birthday was it?]", "It was the birthday of {e}.",
             "{e}"),
        fact("what", "[What did {h} make?|What was the gift?|What did the {hkind} make?]", "{h} made {gift}.",
             "{gift}"),
        fact("who", "[Who helped {h}?|Who helped the {hkind}?]", "{f} helped {h}.", "{f}"),
        fact("where", "[Where did {e} live?|Where was the house of {e}?]", "{e} lived {e_home}.", "{e_home}"),
        fact("what", "[What did {e} give them?|What did {e} give {h} and {f}?]", "{e} gave them {food}.",
             "{food}"),
        fact("ending", _END, "{h} gave {gift} to {e}, and {e} was happy.", "{gift}"),
        *yes_and_no("Did {h} make {?}? = {h} made {gift}", "{gift}", "{gift}", "{a_wtoy}"),
        _FRIEND,
    ),
    ("e",),
)  # fmt: skip

HELP = Tale(
    Plot(
        "short help",
        """
        <once> {E} lived {e_home}. {Ehe} was very old and could not {job} anymore. <one_day> {h} came by. "[May
        I help you?|Wait, let me help you]," said {h}. "[Oh, that would be kind|That is nice of you]," said {e}.
        So {h} stayed to {job}. [While they worked, {e} told stories.|{E} sang old songs while {h} worked.|The
        time passed quickly.] Then {e} gave {him} {food} and {drink}. [<thank_e>|<glad>]
        [<tell_home>|<bed>|{evening}]
        """,
        tables=(
            table("job", """
                - carry the water
                - pull out the weeds
                - read the letters
                - pick the pears
                - sweep the yard
                - cut the wood
                - wash the windows
                - carry the wood
            """),
        ),
    ),
    ("who helped {e} = {e} / help", "and {e} = {e}", "who wanted to help = help you"),
    (
        fact("who", "[Whom did {h} help?|Whom did the {hkind} help?]", "{h} helped {e}.", "{e}"),
        fact("who", "[Who was very old?|Who was old?]", "{e} was very old.", "{e}"),
        fact("what", "[What could {e} not do?|What could {e} not do anymore?]", "{e} could not {job} anymore.",
             "{job}"),
        fact("what", "[How did {h} help?|How did the {hkind} help?|How did {h} help {e}?]", "{h} helped {e} to {job}.",
             "{job}"),
        fact("where", "[Where did {e} live?|Where was the house of {e}?]", "{e} lived {e_home}.", "{e_home}"),
        fact("what", "[What did {e} give {him}?|What did {e} give {h}?]",
             "{e} gave {him} {food} and {drink}.", "{food} / {drink}"),
        fact("ending", _END, "{h} helped {e} and got {food} and {drink}.", "{food}"),
        *yes_and_no("Did {h} help {?}? = {h} helped {e}", "{e}", "{e}", "{w}"),
    ),
    ("e",),
)  # fmt: skip

SHARING = Tale(
    Plot(
        "short sharing",
        """
        <once> <one_day> {h} and {his} friend {f} were playing {at}. {h} had {a_toy}. "[May I have the {toy}
        now?|Now it is my turn]," said {f}. "[No, it is mine|Not now]!" said {h}. Then {f} [went away|sat down
        far away]. So {h} played alone, but it was no fun. <sad> {He} went to {f}. "I am sorry," {he} said.
        "[Here, it is your turn|Let us play together]." [Now they both laughed again.|It was much more fun that
        way.] [<both_glad>|<friends_end>]
        """,
        things="toys",
    ),
    ("who did not share = sorry", "and {a_toy} = {ctoy}", "with {a_toy} = {ctoy}"),
    (
        fact("what", "[What did {h} have?|What did the {hkind} have?]", "{h} had {a_toy}.", "{ctoy}"),
        fact("what", "[What did {f} want?|What did {f} want to have?]", "{f} wanted the {ctoy}.", "{ctoy}"),
        fact("who", "[Who wanted the {toy}?|Who wanted to have the {toy}?]",
             "{f} wanted the {toy}.", "{f}"),
        fact("who", "[Who had the {toy}?|Who had the {ctoy}?]", "{h} had the {toy}.", "{h}"),
        fact("why", "[Why was {h} sad?|Why was the {hkind} sad?]", "{h} was sad because it was no fun to play alone.",
             "alone"),
        fact("ending", _END, "{h} said sorry, and they played together.", "together"),
        *yes_and_no("Did {h} have {?}? = {h} had {a_toy}", "{a_toy}", "{ctoy}", "{a_wtoy}"),
        fact("where", "[Where were they playing?|Where did they play?|Where were {h} and {f}?]",
             "They were playing {at}.", "{place}"),
        *yes_and_no("Were they playing {?}? = they were playing {?}", "{at}", "{place}", "{wat}"),
        _FRIEND,
    ),
)  # fmt: skip

PICNIC = Tale(
    Plot(
        "short picnic",
        """
        <once> <one_day> {h} and {his} friend {f} had a picnic {at}. {h} brought {food}, and {f} brought
        {drink}. <look_around> They sat down {spot}. [They were just about to eat.|They opened the basket.] Then
        {guest} came and looked at them. "[It must be hungry|It wants to eat too]," said {f}. So they shared
        {food} with it. [It was the best picnic ever.|They all sat in the grass together.]
        [<both_glad>|<bed>|{evening}]
        """,
        tables=(
            table("guest guestnoun", """
                - a small bird / bird
                - a little duck / duck
                - a tiny snail / snail
                - a hungry goat / goat
                - a sleepy cat / cat
                - a young deer / deer
            """),
        ),
    ),
    ("and a picnic = picnic", "who had a picnic = picnic", "and {guest} = {guestnoun}"),
    (
        fact("what", "[What did {h} bring?|What did the {hkind} bring?]", "{h} brought {food}.", "{food}"),
        fact("what", "[What did they eat?|What did {h} and {f} eat?]", "They ate {food}.", "{food}"),
        fact("what", "[What did they drink?|What did {h} and {f} drink?]", "They drank {drink}.", "{drink}"),
        fact("what", "What did {f} bring?", "{f} brought {drink}.", "{drink}"),
        fact("what", "[Which animal came?|Which animal came and looked at them?]", "Then {guest} came.",
             "{guestnoun}"),
        fact("where", "[Where did they sit?|Where did they sit down?|Where did {h} and {f} sit?]", "They sat {spot}.",
             "{spot}"),
        fact("where", "[Where was the picnic?|Where did they have a picnic?]", "The picnic was {at}.", "{place}"),
        *yes_and_no("Was the picnic {?}? = the picnic was {?}", "{at}", "{place}", "{wat}"),
        fact("who", "[Who brought {drink}?|Who brought the {drink}?]", "{f} brought {drink}.", "{f}"),
        fact("who", "[Who was with {h}?|Who was there with {h}?]", "{f} was with {h}.", "{f}"),
        fact("ending", _END, "{h} and {f} shared {food} with {guest}.", "{food} / {guestnoun}"),
        _FRIEND,
    ),
    ("place", "food"),
)  # fmt: skip

FEAR = Tale(
    Plot(
        "short fear",
        """
        <once_plain> {He} was afraid of {fear}. <one_day> {h} and {his} friend {f} were {at}, and {occasion}.
        "[I cannot do it|I am too afraid]," said {h}. "[Everybody is afraid of something|It is all right to be
        afraid]," said {f}, and took {his} {hand}. {h} took a deep breath. Then {he} {brave}. "[I did it|I was
        brave]!" {he} cried. <glad> [<thank_f>|<bed>|After that, {h} was only a very little bit afraid.]
        """,
        tables=(
            table("fear wfear occasion brave braveword", """
                - the dark / big dogs / the evening came / walked home in the dark / walked
                - high places / spiders / there was a high bridge / walked over the bridge / bridge
                - thunder / geese / far away there was thunder / counted the seconds / seconds
                - big dogs / the dark / a big dog stood in the middle of the path / held out {his} {hand} to the dog
                  / dog
                - spiders / thunder / a spider sat in its net / looked at the spider / spider
                - geese / deep holes / there were three geese / walked past the geese / geese
                - deep holes / high places / there was a deep hole / jumped over the hole / hole
            """),
        ),
    ),
    ("who was afraid of {fear} = afraid of {fear}", "who was afraid = afraid of", "who was brave = afraid of"),
    (
        fact("what", "[What was {h} afraid of?|What was the {hkind} afraid of?]", "{h} was afraid of {fear}.",
             "{fear}"),
        fact("who", "[Who helped {h}?|Who helped the {hkind}?]", "{f} helped {h}.", "{f}"),
        fact("what", "[What did {h} do?|What did {h} do then?]", "{h} {brave}.", "{braveword}"),
        fact("ending", _END, "{h} was brave and {brave}.", "{braveword}"),
        *yes_and_no("Was {h} afraid of {?}? = {h} was afraid of {fear}", "{fear}", "{fear}", "{wfear}"),
        fact("where", "[Where were {h} and {f}?|Where were they?]", "They were {at}.", "{place}"),
        _FRIEND,
    ),
    ("place",),
)  # fmt: skip

NOISE = Tale(
    Plot(
        "short noise",
        """
        <once> One night, {h} could not sleep. [There was a noise.|{He} had heard a noise.] "{Sound}," it went.
        "[Is it a monster?|What can it be?]," {he} whispered. {He} went to {p}. "Let us go and see what it is,"
        {phe} said, and lit a small lamp. [Slowly, they|Side by side, they] went to the {where}. It was only
        {what}! [{h} began to laugh.|<glad>] [<bed>|Now they could all sleep.]
        """,
        tables=(
            table("sound where what whatnoun", """
                - tap, tap, tap / window / a branch / branch
                - scratch, scratch / door / the old cat / cat
                - hoo, hoo, hoo / window / a little owl / owl
                - crunch, crunch / kitchen / a tiny mouse with a piece of bread / mouse
                - bang, bang / back door / the garden gate in the wind / gate
                - croak, croak / bathtub / a green frog / frog
                - ting, ting, ting / garden / three spoons on a string / spoons
                - puff, puff, puff / stove / a kettle / kettle
            """),
        ),
    ),
    ("and a noise in the night = noise", "who could not sleep = sleep", "who heard a noise = noise"),
    (
        fact("what", "[What did {h} hear?|What did the {hkind} hear?]", "{h} heard a noise.", "noise"),
        fact("what", "[What was it?|What was the noise?]", "It was only {what}.", "{whatnoun}"),
        fact("who", "[Who went with {h}?|Who went along with {h}?]", "{p} went with {h}.", "{p}"),
        fact("where", "[Where did they go?|Where did {h} and {p} go?]", "They went to the {where}.", "{where}"),
        fact("ending", _END, "It was only {what}, and {h} was not afraid anymore.", "{whatnoun}"),
        fact("why", "[Why could {h} not sleep?|Why did {h} not sleep?]",
             "{h} could not sleep because there was a noise.",
             "noise"),
        *yes_and_no("Did they go to the {?}? = they went to the {where}", "{where}", "{where}", "old mill"),
    ),
    (),
)  # fmt: skip

TALES = (NEW_FRIEND, GIFT, HELP, SHARING, PICNIC, FEAR, NOISE)
