"""Plots about friendship: newcomers, quarrels, promises, gifts."""

from __future__ import annotations

from tui_gpt.engine.text.stories.plot import Plot, table

NEW_FRIEND = Plot(
    name="new friend",
    things="toys",
    text="""
    <intro_alone> {He} had nobody to play with. [{He} often talked to the clouds.|{He} played all the games
    alone.|"I wish I had a friend," {he} often said.]

     <one_day> {h} went {to} with {his} {ctoy}. <look_around> [There, {spot}, sat {a_f}.|{A_f} was sitting
    {spot}.] {h} had never seen {fhim} before. [{h} wanted to say hello, but {he} did not dare.|{h} looked
    at {f_ref}, and {f_ref} looked at {h}.|For a while they only looked at each other.] [Then {h} took a
    step.|At last {h} took heart.] "Hello, my name is {h}. [Do you want to play with me?|Would you like to
    play with my {toy}?|Shall we play with my {toy}?]"

     "[I would love to|Oh yes, I would like that]!" said {f_ref}. "I am {f}. [I am new here|We moved here
    yesterday|I do not know anybody here]." [First they played with the {ctoy}.|{h} showed {fhim} how to
    play with the {toy}.] Then {f} showed {h} {a_game}. "{Gamesay}" said {f}. {Gamedo}

     [They played until the sun went down.|They did not see how late it was.|The time flew by.] "[I have to
    go home|It is late]," said {f} [at last|]. "[Will you come back tomorrow?|Can we play again tomorrow?],"
    asked {h}. "[Of course|Yes, I promise]!" said {f}. [{h} ran home and called, "I have a
    friend!"|<tell_home>|{h} hopped all the way home.] <friends_end>
    """,
    tables=(
        table("f_ref", """
            - the {fkind}
        """),
        table("a_game gamesay gamedo", """
            - a clapping game / First the left, then the right! / They clapped faster and faster until they
              mixed it all up and laughed.
            - a hiding place / Nobody will find us here, / They sat inside and told each other secrets.
            - how to skip stones / You need a very flat one, / {h} needed nine tries, and then {his} stone
              jumped three times.
            - a funny dance / Can you stand on one leg? / They danced on one leg until they fell down in the
              grass.
            - a riddle game / What has teeth but cannot bite? / {h} thought and thought. "A comb!" {he}
              cried.
            - how to make a crown of flowers / You tie one to the other, / Soon they both had a crown on
              their heads.
            - how to find animals in the clouds / Do you see the whale? / {h} found a sheep, a ship and a
              sleeping dragon.
            - a guessing game / I see something that you do not see, and it is green, / It took {h} a long
              time to guess the little frog.
        """),
    ),
)  # fmt: skip

SHARING = Plot(
    name="sharing quarrel",
    things="toys",
    weight=2,
    text="""
    <once> {He} had {a_toy}. <one_day> {h} and {his} friend {f} were playing {at}. <look_around> "[May I
    have the {toy} now?|Can I play with your {toy} too?|Now it is my turn]," said {f}. "[No, it is mine|No,
    I am still playing|Not now]!" said {h}, and held the {toy} [tightly|behind {his} back]. "[That is not
    fair|You never share|You have had it all day]!" cried {f}. [{F} pulled at the {toy}, and {h} pulled
    too.|They both pulled, and they both shouted.|{F} stamped {fhis} foot.] [In the end {f} turned around
    and went away.|Then {f} sat down far away and did not say a word.]

     So {h} played alone. But [it was no fun anymore|it was not the same|something was missing]. {Alone}
    [{h} looked over to {f}.|{h} thought about {f}.|A {toy} cannot laugh, thought {h}.] <sad> [{E} had seen
    everything.|{E} came by and saw {his} face.|Then {e} sat down next to {him}.] "[What is more fun, a
    {toy} or a friend?|A {toy} is nice. But can it play with you?|A {toy} is only half as nice when you play
    alone]," [asked|said] {e} [softly|in a kind voice|].

     {h} [stood up|thought about it] and went to {f}. "I am sorry," {he} said. "[Here, it is your turn|You
    can have the {toy} first|Let us play together]." "I am sorry too," said {f}. "[I should not have
    shouted|I was angry]." {Deal} [It was much more fun that way.|And the game was better than before.|Now
    they both laughed again.] <both_glad> [{evening} They carried the {ctoy} home together.|"{Toy} games are
    best with two," said {h}.|<friends_end>|After that, {h} liked to share.]
    """,
    tables=(
        table("alone", """
            - {He} had nobody to talk to.
            - {He} said something funny, but nobody laughed.
            - {He} tried all the games, and {he} was bored after each of them.
            - The {ctoy} lay on the ground, and {h} just looked at it.
            - {He} played for a little while and then put the {toy} down.
            - Nobody cheered, and nobody asked for a turn.
        """),
        table("deal", """
            - They counted to twenty, and then it was the other one's turn.
            - {F} played first, and then {h}, and then {f} again.
            - They thought of a new game that needed both of them.
            - {h} had the {toy} in the morning, and {f} had it in the afternoon.
            - They sang a song, and at the end of every song the {toy} changed {hands}.
            - "You begin," said {h}. "No, you begin," said {f}, and they laughed.
        """),
    ),
)  # fmt: skip

SHY_NEWCOMER = Plot(
    name="shy newcomer",
    text="""
    <intro_alone> <one_day> {a_f} came to live near {h}. {Fhis} name was {f}. {F} was very shy. [When
    somebody spoke to {fhim}, {fhe} looked at the ground.|{Fhe} hid behind {fhis} mother.|{Fhe} spoke so
    softly that nobody could hear {fhim}.] "{F} does not want to play with us," said {g}. "[Maybe {fhe} only
    needs time|Maybe {fhe} does not know how to ask|I think {fhe} is only shy]," said {h}.

     The next day {h} [left|put] {small_gift} at the door of {f}. The day after that, {he} put another one
    there. [On the third day|And then], {something} lay in the same place. It was for {h}! [{h} had to
    smile.|"{F} has answered!" said {h}.] [So {h} sat down next to {f} and did not say much.|So {h} knocked
    at the door and waited.|{h} asked {p} what to do. "Be patient," said {p}.] "I like {likes}," {f}
    [whispered|said softly] [after a while|at last]. "[Really?|Do you?] So do I!" said {h}. "[Can you show
    me?|Let us do it together.]"

     And {f} showed {him}. {Shows} [{F} spoke more and more, and {fhis} voice became louder.|{F} forgot to
    be shy.|{F} even laughed.] [Soon {g} came and watched.|{G} came closer.] "[Can I join you?|May I try
    too?]," asked {g}. {f} looked at {h}, and then {fhe} [nodded|smiled]. "[Yes, sit with us|Come|There is
    room for three]," {fhe} said.

     [From that day on, {f} was never alone.|{evening} The three of them were still together.|Now the three
    of them play every day.] [A shy friend needs a little time, and {h} had waited.|"I am glad that you
    waited for me," said {f}.|And {f} still leaves little gifts at the door of {h}.]
    """,
    tables=(
        table("small_gift something", """
            - a red apple / a yellow pear
            - a white shell / a smooth stone
            - a paper star / a paper boat
            - a small flower / a bunch of clover
            - a picture of a house / a picture of two friends
            - a honey cookie / a little cake
            - a round nut / three sweet berries
        """),
        table("likes shows", """
            - stars / They sat outside in the dark, and {f} knew the names of all the bright stars.
            - drawing / {F} drew a horse that almost looked as if it could run.
            - bugs / {F} turned over a stone, and under it lived a whole city of ants.
            - birds / {F} whistled, and a bird in the tree gave an answer.
            - baking / They made small cakes, and {f} knew how to make them soft.
            - stories / {F} told a story about a snail who wanted to see the sea.
            - knots / {F} could make a knot that looked like a flower.
            - music / {F} played a song on a blade of grass.
        """),
    ),
)  # fmt: skip

PROMISE = Plot(
    name="promise kept",
    text="""
    <intro> "[Will you come tomorrow and help me {job}?|Can you help me {job} tomorrow?|I have to {job}
    tomorrow. Will you help me?]," asked {f}. "[I promise|Yes, I will be there. I promise|Of course. That is
    a promise]," said {h}.

     The next {time}, {g} [stood|was] at the door. "[Come quickly, {h}!|{h}, come with me!] {Fun}" [{h}
    wanted to go so much.|{His} feet almost ran by themselves.|Oh, how {h} wanted to see that!] But then
    {he} remembered {f}. "[I cannot|Not today]," {he} said [slowly|]. "I have promised to help {f}." "[{F}
    will not mind|You can help {fhim} some other day]," said {g}. {h} [thought for a moment and shook {his}
    head|swallowed]. "[A promise is a promise|{F} is waiting for me|I gave my word]," {he} said.

     So {h} went to {f}. [{F} was already waiting.|"I knew that you would come," said {f}.|{F} was so glad
    to see {him}.] {Work} [It was hard work, but they sang while they worked.|They talked and laughed, and
    the work went quickly.|{h} almost forgot what {he} was missing.] "[Done|We did it]!" said {f} [in the
    end|]. "[Without you, I would have needed three days|I could not have done that alone]."

     [Then {h} told {f} about {g}.|"Why did you look so sad before?" asked {f}, and {h} told {fhim}.] "[You
    gave that up for me?|You still came to me?]," asked {f}. "[Then let us run|Maybe it is not too late]!"
    They ran, and they were just in time. {Still} [{G} waved to them.|{G} had kept two places for them.] [It
    was a wonderful day.|"This is the best day," said {h}.|<both_glad>] [<friends_end>|<bed>|A promise kept
    makes a good day even better.]
    """,
    tables=(
        table("job work", """
            - paint the fence / {h} painted from the left and {f} painted from the right, and they met in
              the middle.
            - clean the boat / They washed the boat inside and outside until it shone.
            - pick apples / {h} stood on the ladder, and {f} held the basket.
            - plant beans / {f} made the holes, and {h} put one bean into each.
            - carry wood / They carried one piece after the other and made a high wall of wood.
            - wash the windows / One of them washed, and the other one dried.
            - pull out the weeds / They began at the gate and went along row by row.
            - clear out the shed / They found old chairs, a bell and seven buckets, and they put everything
              in its place.
        """),
        table("fun still", """
            - There is a puppet show in the village! / The puppets were just coming out for the last play.
            - A man with a dancing pony is here! / The pony danced once more, just for them.
            - Somebody is giving rides in a big balloon! / There was room for two in the very last ride.
            - There is music and cake by the river! / The band was still playing, and there was still cake.
            - A ship with red sails has come! / The ship was still there, and they could go on board.
            - They are flying kites on the hill! / The wind was still strong, and the kites were high in the
              air.
            - Everybody is swimming in the lake! / The water was even warmer in the afternoon.
        """),
    ),
)  # fmt: skip

SECRET_GIFT = Plot(
    name="secret gift",
    text="""
    <intro> [Soon it would be the birthday of {f}.|In three days, {f} would have a birthday.|{F} had not
    been happy for some days.] {h} wanted to [give|make] {fhim} something [special|nice]. But {he} had no
    money. [{He} turned out all {his} pockets, but they were empty.|In {his} pocket there was only a
    button.|]

     "[What can I do?|What would {f} like?]," {h} asked {p}. "[The best gifts are those that you make
    yourself|A gift does not have to cost anything|Think of what {f} needs]," said {p}. Then {h} had an
    idea. {F} {need}. "I will make {gift}!" said {h}. {He} worked in secret. {Making} [When {f} came by, {h}
    hid everything under the bed.|"What are you doing?" asked {f}. "Oh, nothing," said {h}, and hid {his}
    {hands}.|Nobody was allowed to look.] [Once it went wrong, and {h} had to begin again.|It took longer
    than {he} had thought.|{He} worked until it was dark.]

     [Then the day came.|At last it was finished.] {h} [was a little nervous|felt {his} heart beat]. "[This
    is for you|I made this for you]," {he} said. {F} [opened it slowly|took off the paper|looked at it for a
    long time]. {Fhis} eyes [became big|shone]. "{Gift}!" {fhe} [cried|said]. "[And you made it
    yourself?|Just what I needed!|It is the best gift of all!]" {Uses}

     <both_glad> [And {h} learned that giving is as nice as getting.|"I like to see you so happy," said
    {h}.|{F} never forgot that gift.|<bed>|<friends_end>]
    """,
    tables=(
        table("need gift making uses", """
            - was always cold in the evening / a warm scarf / {E} showed {him} how to knit, one row and then
              one more. / {F} put it on at once and did not take it off all day.
            - could never find {fhis} pens / a box for pens / {h} cut the wood, put it together and painted
              it blue. / {F} put all {fhis} pens inside, and now they had a home.
            - loved birds / a house for birds / {h} took a few boards, made a round door and put a little
              roof on top. / They hung it in a tree, and a small bird came the same day.
            - could not sleep in the dark / a little lamp / {h} took a jar and stuck paper stars on the
              glass. / That night the stars danced on the wall above {fhis} bed.
            - always lost {fhis} bookmark / a bookmark / {h} pressed a flower between two heavy books and
              glued it on paper. / {F} put it into {fhis} favorite book.
            - had no chair in the garden / a small bench / {h} asked {e} for old wood, and {e} lent {him} a
              hammer. / They sat down on it side by side, and there was just enough room for two.
            - loved sweet things / a jar of jam / {h} picked berries, and {p} helped {him} cook them. / They
              tried it at once, on bread, and soon their faces were red with jam.
            - often missed {fhis} old home / a picture of that old home / {h} asked many questions and drew
              every tree and every window. / {F} hung it above the bed and smiled.
        """),
    ),
)  # fmt: skip

PLOTS = (NEW_FRIEND, SHARING, SHY_NEWCOMER, PROMISE, SECRET_GIFT)
