"""Plots about growing: fears overcome, skills learned, races, gardens, mistakes, repairs."""

from __future__ import annotations

from tui_gpt.engine.text.stories.plot import Plot, table

FEAR = Plot(
    name="fear overcome",
    weight=2,
    text="""
    <once_plain> {He} was afraid of {fear}. [{He} did not tell anybody about it.|Everybody knew it, but
    nobody laughed.|When {he} only thought of it, {his} knees shook.] <one_day> {occasion}

     "[I cannot do it|I am too afraid|Please, not me]," said {h}. "[I was afraid of that too|Everybody is
    afraid of something|It is all right to be afraid]," said {his} friend {f}[ softly|]. "[What are you
    afraid of?|And what are you afraid of?]," asked {h}. "Of {fears}," said {f}. "[Then I put my {hand} on
    my belly and breathe|But I know a trick. I count to three and take one step|But when somebody holds my
    {hand}, I am less afraid]." {h} [thought about it|took a deep breath]. "[Will you stay with me?|Will you
    hold my {hand}?]," {he} asked. "[All the time|Yes, I am right here]," said {f}.

     {Steps} [{His} heart beat fast.|{h} closed {his} eyes for a moment.|{h} wanted to turn back, but {he}
    did not.] "[You are doing well|One more step|Very good]!" [called|said] {f}. And then {he} [opened {his}
    eyes|looked around]. {Finds}

     "[I did it|I was brave]!" {he} cried. "[You were afraid, and you did it all the same|That is what brave
    means]," said {f}. <glad> [After that, {h} was only a very little bit afraid.|The next day {he} wanted
    to do it again.|{evening} {h} told {p} about it, and {phe} was very proud.] [And when {f} was afraid one
    day, {h} held {fhis} {hand}.|<thank_f>|<bed>|]
    """,
    tables=(
        table("fear occasion steps finds", """
            - the dark / the light went out in the whole house. / {h} took one step into the dark room, and
              then another one. / On the ceiling there was a little light. It was the moon that came in
              through the window.
            - high places / {h} and {f} came to a high bridge, and {p} was waiting on the other side. / {h}
              held on to the rope and put one foot in front of the other. / {He} stood on the other side,
              and the bridge looked small.
            - thunder / the sky became black, and far away there was thunder. / They sat down at the window
              and counted the seconds between the flash and the thunder. / Each time there were more
              seconds, and the storm moved away.
            - big dogs / a big shaggy dog stood in the middle of the road. / {h} stood still and slowly held
              out {his} {hand}. / The dog only smelled at it and wagged its tail.
            - deep water / everybody went to the lake. / First {h} put one foot into the water, and then the
              other one. / The water held {him} like a soft bed.
            - the big slide / they came to the tallest slide of all. / {h} climbed up one step at a time and
              sat down at the top. Then {he} let go. / {He} was already at the bottom, and {his} belly
              tickled.
            - speaking in front of others / {h} had to read a poem to all the {others}. / {h} looked only at
              {f} and read the first line, and then the second one. / Everybody was listening, and some of
              them smiled.
            - the old cellar / {p} asked {h} to bring apples from the cellar. / {h} took a lamp and went
              down, one step after the other. / There were only apples, jars and one surprised mouse.
            - spiders / a spider sat right above the door. / {h} came closer and looked at it through a
              glass. / The spider was making a net as fine as lace, and drops shone in it.
        """),
        table("fears", """
            - loud noises
            - wasps
            - being alone
            - fog
            - getting lost
            - bad dreams
            - deep holes
            - geese
        """),
    ),
)  # fmt: skip

SKILL = Plot(
    name="learning a skill",
    weight=2,
    text="""
    <once> {He} wanted to learn how to {skill}. [{His} friend {f} could already do it.|Everybody {he} knew
    could do it.|{He} had seen {e} do it.] <one_day> {he} tried it for the first time. {Fail} [{He} tried
    again, and it was no better.|{He} tried it three times.|The second time was even worse.] "[I will never
    learn it|This is too hard|I give up]!" said {h}, and [stamped {his} foot|threw {himself} into the
    grass].

     {E}, who lived {e_home}, [had watched|came by and smiled]. ["Do you know how many times I tried?" asked
    {e}. "One hundred times at least.|"Nobody can do it the first time," said {e}. "Let me show you a
    trick.|"You cannot do it yet," said {e}. "Yet is a good word. Look, I will show you.] {Tip}" {h} [wiped
    {his} nose and tried again|nodded and tried it once more|tried it that way]. [It was a little
    better.|This time it almost worked.|It was not good, but it was better.]

     So {h} practiced [every day|in the morning and in the evening|before breakfast and after supper]. [On
    some days it went well, and on other days it did not.|{P} cheered for {him}.|Sometimes {he} was tired,
    but {he} did not give up.] And one {day} {time}, {success} "[I can do it|Look at me|It works]!"
    [cried|called] {h}. [{P} clapped {phis} {hands}.|{P} came running to see it.|{E} nodded and smiled.]
    <glad>

     [Some weeks later, a small {hkind} came to {him}. "I will never learn it," said the little one. {h}
    smiled and said, "{Tip}"|"I did not learn it in one day," said {h}, "but I learned it."|<thank_e> "You
    did it yourself," said {e}.|And what did {h} want to learn next? To {skill2}, of course.|<bed>]
    """,
    tables=(
        table("skill fail tip success", """
            - ride a bike / The bike went left, and {h} went right, and both of them landed in the grass. /
              Look far ahead and not at your feet. / {he} rode all the way to the corner and back.
            - swim / {h} splashed with arms and legs and swallowed a lot of water. / Lie on the water as if
              it were a bed. / {he} swam all the way across the pond.
            - whistle / {h} blew and blew, but only air came out. / Make your mouth round, as if you wanted
              to say a small o. / a clear whistle came from {his} mouth.
            - bake bread / The bread was as hard as a stone. / Give the dough time to rest in a warm place.
              / a round brown bread came out of the oven.
            - skate / {h} slipped and sat down on the ice. / Bend your knees and push slowly. / {he} flew
              over the ice in a big circle.
            - knit / There was one big knot, and nobody could find its end. / Do one stitch at a time, and
              do not hurry. / {he} held up a whole sock.
            - play the flute / The flute only squeaked. / Blow as softly as if you wanted to cool your soup.
              / {he} played a whole song without a mistake.
            - tie a bow / The bow fell apart at once. / Make two ears like a rabbit and let them hug. / the
              bow was tight and even.
            - row a boat / The boat turned in a circle, like a dog after its own tail. / Pull with both arms
              at the same time. / the boat moved straight across the lake.
            - jump rope / The rope was caught on {his} feet every time. / Listen to the rope and jump when
              it touches the ground. / {he} jumped twenty times without a stop.
            - catch a ball / The ball flew past {him} again and again. / Keep your eyes on the ball until it
              lies in your {hands}. / {he} caught ten balls, one after the other.
            - write {his} name / The letters fell over like tired soldiers. / Draw each letter big in the
              sand first. / there stood "{h}" in neat letters.
        """),
        table("skill2", """
            - stand on one {hand}
            - juggle three apples
            - cook soup
            - paint a horse
            - speak with birds
            - walk on a rope
            - play the violin
            - read the stars
        """),
    ),
)  # fmt: skip

RACE = Plot(
    name="race",
    text="""
    <intro> Once a year there was a great race {at}: {race}. The winner got {prize}. "[I will win|This year
    I will be the fastest]," said {h}. "[I just want to reach the end|I am not so fast, but I will try],"
    said {f}. [They trained together every day.|Every morning they practiced.|{h} practiced from morning to
    evening.]

     Then the day came. <look_around> {E} [lifted a flag|held up a red flag]. "One, two, three, go!" [called
    {e}.|cried {e}, and they were off.] {h} [was soon in front|was faster than all the others]. [{He} could
    already see the end.|Only {g} was close behind.|The end was not far away.] Then {he} heard a cry behind
    {him}. {Mishap}

     {h} [stopped|looked back]. [If {he} ran on, {he} would win.|The end was so near!|{G} ran past {him}.]
    But [{f} was {his} friend|{h} could not just leave {fhim} there]. {He} [turned around|ran back]. "[Are
    you hurt?|Give me your {hand}|Hold on to me]," said {h}. "But you could have won!" said {f}. "[We will
    finish together|A prize is not so important]," said {h}. {Help}

     [Side by side they came to the end.|They were the last, but they came to the end together.] [And
    everybody cheered the loudest for them.|All the people stood up and clapped.] {G} had won. {G} looked at
    the prize and then at {h}. "[This is for all of us|Let us share it]," said {g}. [So they all sat in the
    grass and laughed.|And that is what they did.] [<thank_f>|"You are the real winner," said {e} to
    {h}.|{evening} Nobody talked about who had been first.|<bed>]
    """.replace("<thank_f>", '"Thank you, {h}," said {f}.'),
    tables=(
        table("race mishap help", """
            - a race on foot / {F} had fallen over a root. / {h} took {fhim} by the arm, and they went on
              slowly.
            - a sack race / {F} had fallen, and the sack had a hole. / They both got into the sack of {h}
              and hopped on.
            - a race with soap box cars / The car of {f} had lost a wheel. / {f} climbed in behind {h}, and
              they rolled on.
            - a boat race / The boat of {f} was stuck in the reeds. / {h} threw {fhim} a rope and pulled the
              boat out.
            - a race with eggs on spoons / {F} had dropped the egg and could not go on. / {h} gave {fhim}
              one end of the long spoon, and they carried one egg together.
            - a race up the hill and down again / {F} had hurt {fhis} foot. / {F} put an arm around {h}, and
              they walked on three legs.
        """),
        table("prize", """
            - a big strawberry cake
            - a basket full of sweet pears
            - a huge chocolate bar
            - a whole box of honey cookies
            - a giant bag of nuts
            - a very big melon
        """),
    ),
)  # fmt: skip

GARDEN = Plot(
    name="garden grows",
    text="""
    <intro_alone> In spring, {e} gave {h} {seed}. "[What is it?|What will it be?]," asked {h}. "[Wait and
    see|It is a secret|Plant it and you will see]," said {e}. {h} [dug a hole behind the house|looked for a
    sunny place near the wall], put {it} in and covered {it} with earth. {He} gave {it} water every day.

     [The first day nothing happened.|{h} waited one day, and two, and three.|Every morning {h} ran outside
    to look.] "[Maybe it is asleep|Why does it take so long?|Did I do something wrong?]," {h} said. "[Good
    things need time|Under the earth, it is already busy|Be patient]," said {p}. [{h} sang songs to it.|{h}
    sat down beside it and told it stories.|So {h} waited.] {Setback} And then, one {time}, there was [a
    tiny green tip|something small and green]! <glad>

     [It grew and grew.|Every day it was a little taller.|Soon it reached {his} knee.] {Grown} "[Look how
    big it is|Come and see]!" {h} called, and everybody came: {e}, {p} and {his} friends {f} and {g}. {Use}
    [It tasted better than anything.|"You have good {hands} for plants," said {e}.|Everybody was happy.]
    <thank_e>

     [In autumn, {h} put new seeds into a small bag. One of them was for {f}.|And {h} kept a few seeds for
    the next year.|"Next year we will plant a whole garden," said {f}.|"You only gave it a little water,"
    said {f}. "And a lot of time," said {h}.]
    """,
    tables=(
        table("seed it grown use", """
            - a small flat seed / it / It became a sunflower, taller than {p}, with a face like the sun. /
              They sat in its shade, and the birds came to eat the seeds.
            - a brown bean / it / It climbed up a pole, and then along the wall, and up to the roof. / They
              picked a whole basket of beans and cooked a big pot of soup.
            - a round white seed / it / First there was a yellow flower, and then a pumpkin that was bigger
              than {h}. / They made soup for the whole village.
            - a tiny black seed / it / It became a bush with red tomatoes. / They ate the tomatoes with
              bread and salt.
            - a strange old bulb / it / It opened into a red tulip with a golden heart. / {E} painted a
              picture of it and gave it to {h}.
            - a little green plant / it / It made white flowers first, and then big red strawberries. /
              There were enough strawberries for all of them.
            - a cherry stone / it / It took years, and {h} grew too. Then the little tree was full of white
              flowers. / In summer they sat under it and ate cherries.
            - a pointed yellow seed / it / It grew as high as the roof and had thick ears of corn. / They
              cooked the corn over a fire and ate it with butter.
        """),
        table("setback", """
            - Once a cold night came, and {h} covered the place with straw.
            - Once it rained too much, and {h} dug a little path for the water.
            - Once a hen wanted to dig there, and {h} made a little fence.
            - Once it was very hot, and {h} carried water three times a day.
            - "Maybe tomorrow," said {h} every evening.
        """),
    ),
)  # fmt: skip

MISTAKE = Plot(
    name="mistake owned up to",
    weight=2,
    text="""
    <intro> <one_day> {h} was [alone in the house|alone at home]. {P} had said, "{Rule}" But {h} [forgot
    it|only wanted to do it once|thought that nobody would see it]. {He} {did} [Oh no!|And then it
    happened.|] {Damage}

     [{h} stood still like a stone.|{h} became hot and cold.|{His} heart beat fast.] "[What shall I do
    now?|{P} will be so sad|Oh, what have I done?]," {he} [thought|whispered]. {Hides} [{h} went to {his}
    room and tried to play, but it was no fun.|{h} went out to {f} and told {fhim} about it.|{h} sat under
    the table and thought.] [{His} belly hurt.|It felt as if {he} had a stone in {his} belly.|<sad>] ["Tell
    the truth," said a small voice inside {him}.|"I could say that the wind did it," {he} thought. But that
    was not true.|"The longer I wait, the harder it gets," {he} thought.]

     When {p} came home, {h} went to {phim}. "[I have to tell you something|I did something wrong]," {he}
    said [softly|with a shaking voice]. "{Confess} I am so sorry." {P} looked at it and [was quiet for a
    moment|took a deep breath]. "[I am a little sad about it|That is a pity]," {phe} said. "[But I am glad
    that you told me|But telling the truth was brave|But you told me yourself, and that is important]."
    "[Can I make it good again?|How can I mend it?]," asked {h}. {Repair} [They worked together until it was
    done.|It took them the whole afternoon.|It was not easy, but they did it.]

     [Then {p} took {him} in {phis} arms.|Then {p} gave {him} a big hug.] [And the stone in {his} belly was
    gone.|{h} felt light again.|Now {h} could laugh again.] [From then on, {h} was more careful.|"When I was
    little, I did the same thing," said {p}, and {h} had to laugh.|<bed>|The next time, {h} asked first.]
    """,
    tables=(
        table("rule did damage hides confess repair", """
            - Do not play ball in the house. / threw the ball high into the air. / The blue vase fell down
              and broke. / {He} pushed the pieces under the rug. / I played ball in the house, and the vase
              broke. / They glued the pieces together, and only a thin line was left.
            - The cake is for the guests. / took one little piece, and then another one. / Half of the cake
              was gone. / {He} put a cloth over it. / I ate from the cake. / They put on their aprons and
              baked a new cake.
            - Please close the gate. / ran out and left the gate open. / The goats had eaten all the
              lettuce. / {He} closed the gate quickly. / I left the gate open, and the goats ate the
              lettuce. / They planted new lettuce, row by row.
            - My paints are not for playing. / opened all the paints and painted a big sun. / A pot fell
              over, and the white rug became green. / {He} put a chair on the spot. / I took your paints,
              and now the rug is green. / They washed the rug, and where it stayed green they painted a
              whole meadow.
            - Do not take my book outside. / took it outside to look at the pictures. / It fell into a
              puddle. / {He} put it back on the shelf, wet as it was. / I took your book outside, and it got
              wet. / They dried it page by page over the warm stove.
            - Be careful with the clock. / turned all the little wheels. / The clock stopped and did not say
              another word. / {He} hung it back on the wall. / I played with the clock, and now it does not
              run. / They took the clock apart and put it together again.
            - Do not climb on the shelf. / climbed up to reach the jam. / The shelf came down, and there was
              jam on the floor, on the wall and on {his} nose. / {He} closed the kitchen door. / I climbed
              on the shelf, and it fell. / They cleaned the kitchen and put the shelf back with longer
              screws.
        """),
    ),
)  # fmt: skip

MENDED = Plot(
    name="broken thing mended",
    things="toys",
    text="""
    <intro> {F} had {a_toy}. [It was old, and {f} loved it.|It was {fhis} favorite toy.|{Fhe} always took it
    along.] <one_day> {f} let {h} play with it. "[Please be careful|Be careful with it]," said {f}. [{h} was
    careful. But|{h} played with it for a long time. Then] {how} And the {toy} broke. [Now there were two
    pieces.|]

     [{h} could not say a word.|{h} became pale.] "[It broke|I did not want that]! I am so sorry," {he}
    said. {F} [had tears in {fhis} eyes|was very sad]. "[My {ctoy}|My poor {toy}]!" said {f}. "[I will mend
    it|I will do all I can to mend it]," said {h}. ["Do you know how?" asked {f}. "No," said {h}, "but I can
    learn it."|]

     So {h} took the {toy} to {e}, who lived {e_home}. "[Hm|Let me see]," said {e}, and looked at it from
    all sides. "[We need {tools}|That will take some time. We need {tools}]. [And two careful {hands}|But
    you must do it yourself]." {E} showed {him} how to do it. [{h} worked for two days.|{h} worked until the
    evening.|{h} had to try three times.] [{His} {hands} shook a little at first.|] [At last|In the end] it
    was done.

     {h} brought it back. [{F} looked at it closely.|{F} turned it around and around.] "[It is whole
    again|You really did it]!" said {f}. "[You can still see a thin line here|Only there is a small mark
    now]," said {h}. "[I like that mark|That mark is the best part]," said {f}. "[It shows that you are my
    friend|It will always remind me of you]." <both_glad> [Then they played with the {ctoy} again, and both
    of them were careful.|And since then, {h} has mended many other things.|<friends_end>]
    """,
    tables=(
        table("how", """
            - {he} tripped over a root.
            - a dog ran between {his} legs.
            - it slipped out of {his} {hands}.
            - it fell from the bench.
            - it fell down the stairs.
            - a strong wind pushed it off the wall.
        """),
        table("tools", """
            - glue and a little string
            - glue, string and a little paint
            - strong thread and good glue
            - some glue and a small piece of cloth
            - strong string and a steady eye
            - a little time and a lot of glue
        """),
    ),
)  # fmt: skip

PLOTS = (FEAR, SKILL, RACE, GARDEN, MISTAKE, MENDED)
