"""Plots about being there for others: help, visits, birthdays, picnics, feasts."""

from __future__ import annotations

from tui_gpt.engine.text.stories.plot import Plot, table

HELPING_OLD = Plot(
    name="helping an old neighbour",
    things="toys",
    weight=2,
    text="""
    <intro_alone> {E} lived {e_home}. {Ehe} was [old|very old], and {ehe} {trouble}. <one_day> {h} [passed
    by|was on the way {to}] and saw {ehim}. "[Good {time}, {e}! Can I help you?|May I help you?|Wait, let me
    help you]," [called|said] {h}. "[Oh, that would be kind|You are a kind {hkind}|That is nice of you],"
    said {e}. [So {h} stayed.|{h} had wanted to play, but that could wait.|]

     {Helps} [While they worked, {e} told stories.|{E} sang old songs while {h} worked.|{E} told {him} how
    it was when {ehe} was little.] [{h} laughed a lot.|The time passed quickly.|{h} listened with open
    ears.] "[Shall I come again tomorrow?|May I come back tomorrow?]," asked {h} when everything was done.
    "[I would like that very much|My door is always open for you]," said {e}. [And so {h} came every
    week.|The next day {h} brought {his} friend {f} along.|And {h} came back the next day, and the day after
    that.]

     Some time later, {h} [had a problem|was sad]. {Problem} "[I know what to do|Let me see|Do not worry],"
    said {e}. "[Now it is my turn to help you|You helped me, and now I will help you]." {Solved} <glad>

     <thank_e> "[You have strong {hands}, and I have an old head|When we help each other, everything is
    easy|One helps the other]," said {e}[, and smiled|]. [Then they sat on the bench and ate
    {food}.|{evening} They drank {drink} together and looked at the stars.|And {e} was not only a neighbor
    anymore. {Ehe} was a friend.]
    """,
    tables=(
        table("trouble helps", """
            - could not carry heavy things anymore / {h} carried the water from the well, one bucket after
              the other.
            - could not bend down to the garden beds / {h} pulled out the weeds and gave water to the beans.
            - could not see the small letters anymore / {h} read all the letters to {ehim}, and one of them
              twice.
            - was afraid of the high ladder / {h} climbed up and picked the ripe pears.
            - could not walk to the market anymore / {h} went to the market and brought bread, eggs and
              cheese.
            - could not sweep the yard anymore / {h} took the big broom and swept the yard until it was
              clean.
            - could not cut the wood anymore / {h} carried the wood into the house and put it next to the
              stove.
            - was often lonely / {h} made tea, and they played a game with cards.
        """),
        table("problem solved", """
            - {His} {toy} was broken. / {E} took out a little box of tools, and soon the {toy} was as good
              as new.
            - {He} had quarreled with {his} friend {f}. / "Say the first word," said {e}. {h} did, and {f}
              smiled at once.
            - {He} could not learn {his} poem. / {E} made a little song out of it, and then {h} knew it by
              heart.
            - {He} had a hole in {his} best coat. / {E} put a yellow star over the hole, and the coat was
              nicer than before.
            - {He} did not know what to give to {p}. / {E} showed {him} how to make a basket, and {p} loved
              it.
            - {His} cake was flat and hard. / {E} showed {him} how to make it rise, and the next cake was
              light and sweet.
            - {He} could not fall asleep at night. / {E} gave {him} a little bag of good herbs, and that
              night {h} slept well.
        """),
    ),
)  # fmt: skip

SICK_FRIEND = Plot(
    name="visit to a sick friend",
    text="""
    <intro> <one_day> {h} waited for {f}, but {f} did not come. "{F} is [ill|sick] and has to stay in bed,"
    said {p}. <sad> "[I want to visit {fhim}|Then I will make {fhim} laugh|I want to cheer {fhim} up]," said
    {h}. "[But you must not go too near|Only through the window]," said {p}.

     So {h} [went to the window of {f}|stood in front of the window]. [{F} lay in bed and looked pale.|{F}
    had a red nose and tired eyes.] {Act} [At first {f} only looked.|{F} sat up in bed.] Then [the corners
    of {fhis} mouth began to move|{fhe} began to smile|{fhe} laughed so much that the bed shook].
    "[Again!|Please do that again!|More!]," called {f}. [And {h} did it again.|So {h} did it three more
    times.] The next day {h} came back with {soup}, and {he} put it [on the window sill|in front of the
    door]. [{F} ate all of it.|{F} ate it and fell asleep.] [Every day {f} felt a little better.|Every day
    {fhis} eyes were a little brighter.]

     [After a week|At the end of the week|And one {time}], there was a knock at the door of {h}. There stood
    {f}! "[I am well again|The doctor says I can play]," {fhe} said. "[It was the soup|It was your funny
    show that helped|Laughing helped more than the medicine]." <both_glad> [Then they went {to} and played
    all day.|And when {h} was ill in winter, guess who stood at the window.|"But please do it once more,"
    said {f}, and {h} did.|<friends_end>]
    """,
    tables=(
        table("act", """
            - {h} put a pot on {his} head and marched up and down like a king.
            - {h} put socks on {his} {hands}, and the two socks talked to each other like old men.
            - {h} danced with a broom and bowed to it.
            - {h} drew a funny face on a paper bag and put it over {his} head.
            - {h} walked like a duck, then like a cat, and then like an elephant.
            - {h} held up big pictures, one after the other, and told a story about a lazy dragon.
            - {h} sang a song, but {he} mixed up all the words.
            - {h} tried to keep three apples in the air, and all of them fell on {his} head.
        """),
        table("soup", """
            - a pot of warm soup
            - a glass of honey
            - a bag of sweet pears
            - a jar of plum jam
            - a bowl of soft noodles
            - a can of hot tea
        """),
    ),
)  # fmt: skip

BIRTHDAY = Plot(
    name="birthday",
    text="""
    <intro_alone> Today was the birthday of {h}. [{He} jumped out of bed.|{He} woke up before the sun.|{He}
    had waited for this day for weeks.] But [nobody said a word|nobody seemed to remember]. {P} only said,
    "[Good morning, {h}. Did you sleep well?|Please bring this basket to {e}, {h}.]" Then {h} met {his}
    friend {f}. "[I have no time|I must go home]," said {f}, and hurried away. [Even {g} only waved from far
    away.|{G} ran around the corner when {he} came.] "[They have all forgotten my birthday|Nobody
    remembers]," thought {h}. <sad>

     {h} went {to} and sat down {spot}. <look_around> [There {he} told a small {bug} about it.|A {bug} sat
    down on {his} knee.|{He} looked at a {bug} and sighed.] "[At least you are here|Happy birthday to me],"
    said {h} [softly|to the {bug}]. [When it was late, {h} went home.|In the afternoon {he} walked home
    slowly.] The house was dark and quiet. {h} opened the door. "[Hello? Is anybody there?|{P}?]," {he}
    called.

     "Surprise!" [cried many voices|everybody shouted]. The lights went on, and there they were: {p}, {f},
    {g} and {e}! {Decor} On the table stood {cake}. "[We did not forget you|Did you think we had
    forgotten?]," said {f}. "[We had so much to do|It was hard to keep the secret]!" [{h} laughed and cried
    at the same time.|<glad>|{h} did not know what to say.] {P} gave {him} {a_toy}. {F} gave {him}
    {present}. [They sang and danced and ate.|They played games until the evening.] [{evening} "This was the
    best birthday ever," said {h}.|"I will never think that again," said {h}, and hugged them all.|In bed,
    {h} thought about the small {bug}. Tomorrow {he} would bring it a piece of cake.|<bed>]
    """,
    tables=(
        table("bug", """
            - beetle
            - butterfly
            - snail
            - frog
            - cricket
            - ladybug
            - sparrow
            - lizard
        """),
        table("decor", """
            - Paper stars hung from the ceiling.
            - There were balloons in every corner.
            - There were flowers on the table and ribbons on the chairs.
            - Little lamps hung all around the room.
            - On the wall was a big picture that they had all painted together.
        """),
        table("cake", """
            - a big chocolate cake with candles
            - a round honey cake
            - a cake that looked like a castle
            - a strawberry cake with cream
            - a tall cake with blue sugar flowers
            - a nut cake with a little flag on top
        """),
        table("present", """
            - a drawing in a wooden frame
            - a bag of colorful marbles
            - a belt that {fhe} had made
            - a little plant in a pot
            - a box of colored pencils
            - a song that {fhe} had written
        """),
    ),
)  # fmt: skip

SURPRISE_RAIN = Plot(
    name="picnic in the rain",
    text="""
    <intro> <one_day> {h}, {f} and {g} wanted to have a picnic {at}. {h} brought {food}, {f} brought
    {drink}, and {g} brought a blanket. <look_around> They [put the blanket {spot}|sat down {spot}] and
    [were just about to eat|opened the basket]. Then a drop fell on the nose of {h}. "[It is raining|Rain]!"
    cried {h}. [One drop, two drops, a hundred drops!|Soon it rained harder and harder.|Big drops fell
    everywhere.]

     "[Now our picnic is over|Everything will get wet|What a pity]," said {g}. "[Wait|No], I have an idea!"
    said {f}. {Shelter} [They sat close together.|They pressed together, and it was warm.|It was small, but
    there was room for three.] [The rain drummed above them.|They listened to the rain.] "[It sounds like
    music|It sounds like a hundred tiny feet]," said {h}. They ate {food} and {tell}. [Nobody thought of
    going home.|It was more fun than in the sun.]

     After a while the rain stopped. {After} "[Look|See]!" [cried|called] {h}. [All three jumped up and
    ran.|They ran out into the wet grass.] {Joy} [When they came home, {p} laughed at their wet feet.|{P}
    dried their feet and gave them warm blankets.|They came home wet and happy.] "[I hope it rains next time
    too|That was the best picnic ever|Rain is not so bad]," said {g}. [And {h} thought so too.|And they all
    laughed.|]
    """,
    tables=(
        table("shelter", """
            - They hung the blanket over a branch, and it became a tent.
            - Under an old boat it was dry, and they crept under it.
            - {F} had seen a small hut, and they ran there with the basket.
            - They held the blanket over their heads like a roof.
            - There was a big hollow tree, and they all fit into it.
            - They found a rock that looked like a roof, and it was dry under it.
        """),
        table("tell", """
            - told each other funny stories
            - sang all the songs they knew
            - guessed riddles
            - counted the seconds between the drops
            - made shadow pictures with their {hands}
        """),
        table("after joy", """
            - A rainbow stood over the land. / They tried to find the end of it, but it always moved on.
            - There were puddles everywhere. / They jumped from one puddle to the next, and the water flew
              high.
            - Hundreds of snails had come out. / They let three snails run a race, and the slowest one won
              their hearts.
            - The whole world smelled fresh and new. / They took deep breaths and rolled in the grass.
            - Every leaf had a shining drop. / They shook a small tree, and it rained once more, just for
              them.
        """),
    ),
)  # fmt: skip

SHOW = Plot(
    name="show with a mishap",
    text="""
    <intro> [There was going to be a big feast {at}.|Everybody was getting ready for the summer feast.|The
    {others} wanted to put on a show.] {h} and {f} wanted to {act}. They practiced every day. [{P} clapped
    each time.|At first it did not go well, but it became better and better.|Even the birds knew it by
    heart.]

     Then the great day came. <look_around> [Everybody was there, even {e}.|{E} sat in the first row.] {h}
    {nerves}. "[I am here with you|Just look at me|We can do it]," whispered {f}. They [went out|stepped in
    front of the people], and it began well. But then {mishap} [It became very quiet.|Somebody giggled.|{h}
    became red.] "[Oh no|What now]?" [thought|whispered] {h}. [{F} did not know what to do either.|{F}
    looked at {h}, and {h} looked at {f}.] Then {h} had an idea. {Saves} [The people thought it was part of
    the show!|Everybody laughed, and it was a good laugh.] {F} understood and [did the same|joined in].

     In the end they [bowed|took each other by the {hand} and bowed]. [Everybody clapped and cheered.|The
    people clapped for a long time.] "[That was the funniest show I have ever seen|You were wonderful],"
    said {e}. "[The best part was the mistake.|Did you plan that?]" "[It was a surprise, even for us|We made
    it up]," said {h}, and {f} laughed. [{evening} They sat down and ate {food}.|"Next time let us do it
    again," said {f}.|After that, {h} was not afraid of mistakes anymore.|<bed>]
    """,
    tables=(
        table("act mishap saves", """
            - sing a song / {h} forgot the words. / {He} sang "la, la, la" and danced in a circle.
            - do a dance / {h} slipped and sat down on the floor. / {He} turned around on {his} bottom and
              waved {his} feet.
            - play a king and a queen / the crown fell down over {his} eyes. / "Who turned off the sun?"
              {he} cried, and walked around with {his} {hands} in front of {him}.
            - play the drum and the flute / the drum broke. / {He} drummed on the chair, on the floor and on
              {his} own belly.
            - tell a story / {h} had to sneeze three times. / "And then came the great storm!" {he} said.
            - show a magic trick / the rabbit jumped out of the hat too early. / "And now it is my turn to
              sit in the hat!" {he} said, and put {his} foot in it.
            - put on a play about a dragon / the tail of the dragon came off. / {He} picked it up and used
              it as a trumpet.
        """),
        table("nerves", """
            - felt butterflies in {his} belly
            - had cold {hands}
            - wanted to run home
            - felt {his} knees shake
            - took a deep breath
        """),
    ),
)  # fmt: skip

PLOTS = (HELPING_OLD, SICK_FRIEND, BIRTHDAY, SURPRISE_RAIN, SHOW)
