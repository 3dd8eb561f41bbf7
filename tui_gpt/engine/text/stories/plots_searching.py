"""Plots about looking for something: things, animals, the way home, a treasure, the source of a noise, a wish."""

from __future__ import annotations

from tui_gpt.engine.text.stories.plot import Plot, table

LOST_THING = Plot(
    name="lost thing",
    weight=2,
    text="""
    <intro> {He} had {a_toy} that {he} [loved very much|took everywhere|never left at home|liked more than
    anything]. [It had been a present from {e}.|{E} had given it to {him}.|It was the best thing {he} had.|]

     <one_day> {h} took the {ctoy} {to}. <look_around> [{He} played there for a long time.|{He} ran and
    jumped and sang.|{He} forgot the time.] But when {he} wanted to go home, the {ctoy} was gone. "[Oh no!
    Where is my {toy}?|My {toy}! I have lost it!|Where can my {toy} be?]," cried {h}. <sad>

     [{f} heard {him} and came running.|Just then {f} came along the path.|{f} was there too.] <ask_wrong>
    "My {ctoy} is [gone|lost]," said {h}. "[We will look for it together|I will help you look for it|Two can
    look better than one]," said {f}. [First they|They] looked {spot}. [It was not there.|There was only
    {junk}.|They found {junk}, but no {toy}.] Then they looked {spot2}. [It was not there
    either.|Nothing!|There they saw {junk2}, and that was all.] [{h} wanted to give up. "We must not give
    up," said {f}.|"Think," said {f}. "Where did you play last?"|"Where did you rest?" asked {f}.] [{h}
    thought hard.|{h} closed {his} eyes and thought.] "[I was {spot3}|I sat down {spot3}|I looked at a
    beetle {spot3}]," {he} said [at last|slowly|].

     [They ran there as fast as they could.|They went there at once.|Off they ran.] And [there|there,
    {spot3}], lay the {ctoy}! <glad> [<thank_f> <f_answers>|<thank_f>] [From then on, {h} always looked
    around twice before {he} went home.|{h} held the {toy} tightly all the way home.|{evening} {h} put the
    {toy} next to {his} bed.|That night the {ctoy} lay beside {his} pillow.|Then they both played with the
    {ctoy} until the evening.] [<friends_end>|<bed>|]
    """,
    tables=(
        table("junk junk2", """
            - an old shoe / a sleepy snail
            - a round stone / two ants
            - an empty nest / a long stick
            - a green beetle / a heap of sand
            - a piece of rope / a small frog
            - dry leaves / a yellow flower
            - a spider in its web / a broken cup
            - a red leaf / a hole in the ground
            - a fat worm / an old can
        """),
    ),
)  # fmt: skip

LITTLE_ANIMAL = Plot(
    name="little animal in need",
    weight=2,
    wild=True,
    text="""
    <intro> <one_day> {h} and {f} went {to}. <look_around> [Suddenly|All at once] they heard a
    [small|tiny|soft] sound. "[Did you hear that?|What was that?|Listen!]," [asked|whispered] {h}. They
    looked {spot}. There was nothing. Then they looked {spot2}, and there sat a {pet}. It {trouble}.

     "[Poor little thing|Oh, you poor {petnoun}]," said {f}. "[We have to help it|How can we help it?|What
    shall we do?]," {h} [thought for a moment|knelt down|spoke softly]. "[Do not be afraid|Be still, little
    one|We will help you]," {he} [whispered|said in a soft voice]. {Rescue} [The {petnoun} looked at them
    with big eyes.|The {petnoun} shook itself.|The {petnoun} was quiet and let them help.]

     [They gave it {petfood}.|{h} found {petfood} for it.|"It must be hungry," said {f}, and found
    {petfood}.] [They stayed with it until it felt better.|Soon it was strong again.|After a while it felt
    much better.] ["May we keep it?" asked {f}. {h} shook {his} head. "It belongs {at}, with its mother,"
    {he} said.|"I wish it could stay with us," said {f}. "It has its own home," said {h}.|"Now it can go
    home," said {h}.] [Then they heard a call.|Just then something moved.] It was the mother of the
    {petnoun}! The {petnoun} {leaves} to her. [Before they went away, both of them looked back.|The mother
    looked at {h} and {f} as if to say thank you.|{h} and {f} waved for a long time.]

     [{evening} {h} and {f} walked home, and they felt warm inside.|<tell_home>|<both_glad>] [The next day
    they came back, and the {petnoun} was {spot3}, happy and well.|And sometimes, when {h} goes {to}, one
    small {petnoun} comes and says hello.|"We did something good today," said {f}.|<bed>]
    """,
    tables=(
        table("pet petnoun trouble rescue petfood leaves", """
            - baby bird / bird / had fallen out of its nest / {f} held the branch, and {h} climbed up and
              put it back for a while. / a few small seeds / hopped
            - tiny duckling / duckling / could not find its way to the water / {h} took it in {his} {hands}
              and carried it to the water. / some soft grass / swam
            - young deer / deer / had its leg between two branches / {h} pulled one branch and {f} pulled
              the other. / some green leaves / ran
            - little turtle / turtle / lay on its back and could not turn over / {h} and {f} turned it over,
              very slowly. / a sweet berry / walked
            - baby goose / goose / was caught in an old net / {f} held the net, and {h} pulled out one
              thread after the other. / a little clover / ran
            - baby swan / swan / was cold and wet / {h} dried it with {his} scarf, and {f} kept the wind
              away. / some water plants / swam
            - little bat / bat / had lost its way in the bright light / {f} made a dark tent with a coat,
              and {h} put it inside. / a drop of water / flew
            - baby owl / owl / was too tired to fly / {h} made a bed of moss, and {f} put it inside. / some
              water / flew
        """),
    ),
)  # fmt: skip

LOST_WAY = Plot(
    name="lost and found",
    wild=True,
    text="""
    <intro_alone> <one_day> {h} went {to} to [pick berries|look for mushrooms|find nuts|pick flowers for
    {p}|look for pretty stones]. "[Do not go too far|Stay near the path|Come home before dark]," said {p}.
    <look_around> [There was always one more {lure}.|{He} followed {a_lure} and looked only at that.] When
    {he} looked up at last, {he} did not know where {he} was.

     "[Where is the path?|Which way is home?|I am lost]," {h} said. [Nothing looked like home.|<sad>|] [Then
    {he} remembered what {p} always said: "If you are lost, stay where you are and stay calm."|"I must not
    run," {he} told {himself}.|{He} took three deep breaths.] So {h} sat down {spot} and {waits}.

     [After a while|Soon|A little later], {a_f} came by. "[Hello! Are you all right?|Who are you, and why
    are you here?|Are you lost?]," asked [the {fkind}|the stranger]. "My name is {h}, and I cannot find the
    way home," said {h}. "I am {f}," said {f}. "[I know this place well|I live near here]. [Do you see
    anything from your home?|What can you see or hear from your home?]," {h} thought. "{Clue}," {he} said.
    "[Then I know where it is|Then it is not far]!" said {f}. "{Way}"

     [They walked side by side and talked.|They walked together, and {f} sang a song.|{f} went first, and
    {h} followed.|{evening}] [And there was|There, at last, was] {p}, who was looking for {him} everywhere!
    "[I was so worried|There you are]!" said {p}, and held {h} tightly. "{f} helped me," said {h}. "[Then
    {f} must eat with us|Thank you, {f}]," said {p}. [<friends_end>|{h} had lost the way, but {he} had found
    a friend.|And so {h} came home with a new friend.]
    """,
    tables=(
        table("lure a_lure", """
            - red berry / a blue butterfly
            - big nut / a yellow bird
            - white flower / a green lizard
            - shiny stone / a small frog
            - brown mushroom / a dragonfly
        """),
        table("waits", """
            - sang a little song
            - called as loud as {he} could
            - counted to one hundred
            - waited
            - listened to every sound
        """),
        table("clue way", """
            - I can hear the stream / We just have to follow the water.
            - There is a tall tree with a broken top / I can see that tree from the big rock.
            - In the evening I can see the sun go down behind the lake / Then we must walk toward the sun.
            - There are three tall pines beside it / I climbed one of them last week. Come with me!
            - I can hear a waterfall / Be quiet and listen. Can you hear it? It is over there.
            - I can smell the bread that {p} bakes / Then we only have to follow our noses.
            - I can see the old tower / I pass the tower every day. Come along!
        """),
    ),
)  # fmt: skip

TREASURE_MAP = Plot(
    name="treasure map",
    text="""
    <intro> <one_day> {h} found an old piece of paper {found}. [It was yellow and smelled of dust.|There
    were lines and a big cross on it.|Somebody had drawn a path on it.] "[It is a map|This must be a
    treasure map]!" {he} cried, and {he} ran to {f}. [{f} looked at it from all sides.|{f} could hardly
    believe it.] "[Let us find the treasure|We must go and look|What are we waiting for?]," said {f}.

     [The map led them {to}.|They followed the map {to}.] <look_around> "[Go to the place {spot}|Start
    {spot}], [then take|and take] {steps} steps," {h} read. {f} counted the steps [out loud|very carefully].
    But there was [nothing|only grass]. ["You take bigger steps than I do," said {h}. So {h} counted too,
    and they came {spot2}.|"We held the map the wrong way around!" said {h}, and they laughed. Now they came
    {spot2}.|"Maybe they were the steps of a grown-up," said {h}. They took bigger steps and came {spot2}.]

     [They dug with their {hands}.|They moved stones and leaves away.|They looked under every leaf.] [At
    last|After a while] they found {a_box}. [{h} could hardly wait.|"You open it," said {f}.|"Open it!"
    whispered {f}.] Inside there was no gold. There was {treasure}. And there was a note: "{note} [{E}|Your
    friend {e}]."

     [They ran to {e}, who lived {e_home}.|{E} lived {e_home}, and they went there at once.] "Did you
    [hide|make] it?" asked {h}. {E} laughed. "[When I was young, I loved to look for treasures|I wanted to
    see if you could read a map|I made that map for you]," said {e}. <both_glad> [{evening} "That was the
    best treasure of all," said {f}.|"Now let us make a map too," said {h}, and they did.|They thanked {e},
    and they were proud of themselves.|They shared the treasure, and {e} told them stories.]
    """,
    tables=(
        table("found", """
            - in an old book
            - under the bed
            - in a bottle
            - behind a picture
            - in a dusty box
            - in the pocket of an old coat
            - between two boards in the floor
        """),
        table("steps", """
            - ten
            - twenty
            - thirty
            - fifty
            - one hundred
            - twelve
            - seven
        """),
        table("a_box", """
            - a little wooden box
            - a small tin
            - an old chest
            - a blue jar
            - a leather bag
        """),
        table("treasure note", """
            - a bag of nuts and honey / Share it, and it will taste twice as good.
            - a book with empty pages / Write down your own adventures.
            - two small silver bells / One for you and one for your friend.
            - a lamp and some paper stars / May you always have light.
            - a jar of blackberry jam / Come and eat it with me. I have fresh bread.
            - a wooden flute / Music is the best treasure.
            - a bag of flower seeds / Plant these, and you will see real gold in summer.
            - a small glass that made things look big / The best treasures are very small.
        """),
    ),
)  # fmt: skip

NOISE = Plot(
    name="noise in the night",
    text="""
    <once_plain> One night, {h} could not sleep. [There was a noise.|{He} had heard a noise.|Something made
    a noise.] "{Sound}," it went, and again, "{sound}." [{h} pulled the blanket up to {his} nose.|{h} sat up
    in bed.|{h} held {his} breath and listened.] "[Is it a monster?|What can it be?|Maybe it is a giant],"
    {he} [thought|whispered].

     {He} went to {p}. "[There is something outside|I heard a strange noise]," {he} said. {p} [took {his}
    {hand}|lit a small lamp]. "[Noises are bigger in the dark|Let us go and see what it is|When we know what
    it is, it will be small]," {phe} said. [Step by step, they|Slowly, they|Side by side, they] went to the
    {where}. "{Sound}!" [{h} jumped.|{h} wanted to run away, but {he} did not.|{h} held {p} tightly.] {p}
    held up the lamp.

     And what did they see? It was only {what}! [{h} began to laugh.|{h} laughed until {his} belly hurt.|"So
    it was you!" said {h}, and {he} had to laugh.] {Fix} [After that, it was quiet.|Then everything was
    still.|Now there was not a sound.]

     [{p} brought {him} back to bed.|"Now we can all sleep," said {p}.|They drank some {drink} and went back
    to bed.] [The next morning, {h} told {his} friend {f} about it. "Were you afraid?" asked {f}. "Only
    until I looked," said {h}.|"Next time I will go and look first," said {h}, and fell asleep.|And when
    {he} hears a noise at night now, {h} says, "I wonder what it is this time."|In the morning {h} drew a
    picture of it, and {he} called it "The Monster of the Night."]
    """,
    tables=(
        table("sound where what fix", """
            - tap, tap, tap / window / a branch that knocked at the glass / {p} tied the branch back with a
              string.
            - drip, drop, drip / kitchen / water that fell into a pot / {h} put a soft cloth into the pot.
            - scratch, scratch / door / the old cat, who wanted to come in / They let the cat in, and it
              curled up by the fire.
            - hoo, hoo, hoo / window / a little owl on the roof / {h} waved, and the owl flew away to the
              woods.
            - crunch, crunch / kitchen / a tiny mouse with a piece of bread / {h} put the bread outside for
              the mouse.
            - bang, bang / back door / the garden gate, which the wind moved / {p} closed the gate with a
              hook.
            - squeak, squeak / attic / the old swing chair in the wind / {h} shut the window, and the chair
              stood still.
            - croak, croak / bathtub / a green frog, who liked the water / {p} carried the frog to the pond.
            - ting, ting, ting / garden / three spoons that hung on a string / {h} took the spoons down.
            - puff, puff, puff / stove / a kettle that nobody had taken away / {p} put the kettle on a
              stone.
        """),
    ),
)  # fmt: skip

WISH = Plot(
    name="wish",
    text="""
    <intro_alone> {h} had one big wish. {He} wanted to {wish}. [Every evening {he} looked up at the stars
    and wished.|{He} told {his} friend {f} about it every day.|{He} thought about it in the morning and in
    the evening.|{He} even dreamed about it at night.]

     <one_day> {h} asked {p}, "[Can wishes come true?|How do wishes come true?]" "[Some do, if you help them
    a little|Sometimes a wish needs a little help|A wish is like a seed. You have to water it]," said {p}.
    {h} [thought about it until {his} friend {f} came by.|did not know what that meant, so {he} asked {f}, {his}
    friend.|went to tell {f}, {his} friend.] "[I know how we can help your wish|I have an idea|Then let us
    help it]," said {f}. "{Plan}"

     So they began. {Work} [It was not easy.|It took many days.|Sometimes {h} became tired.] ["Will it ever
    work?" asked {h}. "A little more every day," said {f}.|{E}, who lived {e_home}, saw them and helped
    too.|But every day they did a little more.] [At last the great day came.|And then, one {day} {time}, it
    was time.|Then, one day, everything was ready.] {Fulfilled}

     <glad> "[My wish came true|It really happened|I did it]!" {he} cried. "[That was not magic|It did not
    just happen]," said {f}. "[It was you|You did it yourself]." [<friends_end>|<bed>|{h} looked up at the
    stars and said, "Thank you all the same."|And what did {h} wish for next? That {f} would always be {his}
    friend.]
    """,
    tables=(
        table("wish plan work fulfilled", """
            - fly / We can build a swing in the tallest tree. / They found a long rope and a good board, and
              they tied strong knots. / {h} sat on the swing, and {f} pushed. Up and up {he} went, until
              {his} feet touched the sky.
            - see the sea / We can walk along the river. All rivers go to the sea. / They put bread into a
              bag every day and walked a little farther, until they were strong enough for the long way. /
              {p} came along, and they walked and walked. And there it was, blue and wide and shining.
            - sing in front of everybody / We can practice every day. / First {h} sang for the flowers. Then
              {he} sang for {f}. Then {he} sang for three {others}. / {h} stood on a big stone and sang, and
              everybody clapped.
            - have a house in a tree / We can collect boards. / They asked everyone for old boards and
              nails. {f} held the boards, and {h} worked with the hammer. / The little house sat between the
              branches, with a round window and a red flag.
            - touch the moon / When the moon is full, it swims in the lake. We can make a boat. / They tied
              old logs together and made two oars. / In the still night they rowed out, and {h} put {his}
              {hand} into the water. There was the moon, cool and silver.
            - have a garden of {his} own / There is an empty place behind the wall. We can clean it. / They
              pulled out the weeds and planted seeds, and they carried water every day. / The first flowers
              opened, red and yellow and blue.
            - make a book / You tell the stories, and I will draw the pictures. / {h} wrote one page every
              day, and {f} drew with all the colors {f} had. / The last page was done, and {e} read the book
              to everyone.
            - see a rainbow from near by / We can make one with water and sun. / They found a can and made
              little holes in it, and they tried it again and again. / The sun shone through the drops, and
              a small rainbow stood right above {his} {hand}.
        """),
    ),
)  # fmt: skip

SWAPS = Plot(
    name="chain of swaps",
    text="""
    <intro_alone> <one_day> {h} wanted to make {a_dish} for {e}, who lived {e_home}. But there was no
    {missing} in the house. There was only {a_toy} that {he} [did not need anymore|had not used for a long
    time]. "[Maybe somebody needs it|Maybe I can trade it]," thought {h}, and {he} [set out|went from door
    to door].

     First {he} met {his} friend {f}. "[What a pretty {toy}|I have always wanted such a {toy}]!" said {f}.
    "I will give you {swap1} for it." "[It is yours|Here you are]," said {h}.

     A little later {he} met {g}, who looked sad. "I need {swap1}," said {g}. "{Because}" "Then take it,"
    {he} said. {G} was so happy that {ghe} gave {h} {swap2}.

     [At the end of the road|By the bridge|Near the well] sat {an_old_one}. "[I have no fire in my house|My
    evenings are long], and {swap2} would help me so much," she said. "[Please take it|It is for you]," said
    {h}. "Thank you. I have only {missing}, but you can have as much as you want." "[{Missing}! That is just
    what I need|That is all I want]!" cried {h}.

     {h} ran home and made {a_dish}. [The whole house smelled good.|] {E} took a bite and closed {ehis}
    eyes. "[Where did you get the {missing}?|How did you make it?]" asked {e}. {h} laughed. "[With an old
    {toy} and three friends|That is a long story]," {he} said. [And {he} told it from the
    beginning.|{evening} They sat together until it was late.|Then {f} and {g} came too, and they ate
    together.]
    """,
    tables=(
        table("a_dish missing", """
            - an apple cake / sugar
            - a pot of soup / salt
            - a berry pie / flour
            - a sweet cake / honey
            - a plate of pancakes / butter
            - a warm bread / flour
            - a nut cake / cinnamon
        """),
        table("swap1 because swap2", """
            - a long rope / my goat always runs away. / a bag of wood
            - a bunch of carrots / my pony will not come home without one. / a warm blanket
            - a ball of wool / I want to finish a sock for my father. / a small lamp
            - a little ladder / my kite is on the roof. / a basket of wood
            - a blue pot / my flowers have no home. / two candles
            - a good broom / there is sand all over my house. / a woolly blanket
            - a jar of paint / I want to paint my door before the feast. / a bag of coal
        """),
    ),
)  # fmt: skip

PLOTS = (LOST_THING, LITTLE_ANIMAL, LOST_WAY, TREASURE_MAP, NOISE, WISH, SWAPS)
