"""Plots about doing things together: storms, boats, snow, huts, cakes, a kite in a tree."""

from __future__ import annotations

from tui_gpt.engine.text.stories.plot import Plot, table

STORM = Plot(
    name="storm",
    wild=True,
    text="""
    <intro> One {time}, {h} and {f} were playing {at}. [At first the sky was blue.|It was warm and very
    still.] Then {h} looked up. "[Look at those clouds|It is getting dark]," {he} said. {First} [The wind
    became stronger and stronger.|The trees bent in the wind.|Leaves flew through the air.] "[We must go
    home|A storm is coming]!" [called|cried] {f}.

     They ran, but {obstacle} "[What now?|We cannot go on]," said {f}. [{Fhis} voice shook a little.|{F}
    held on to {h}.] {h} [looked around|thought quickly]. "{Idea}!" {he} called [through the wind|against
    the wind]. {Safe} [They sat close together.|There they were dry.] [Outside, the wind howled like a
    wolf.|Outside, the rain beat on the leaves.] "[Are you afraid?|Do you think it will stop?]," asked {f}.
    "[A little, but not so much when you are here|Yes, but we are together]," said {h}. So they {passing}.

     [After a while the thunder went away.|At last it became quiet.|Little by little, the storm went away.]
    [The sun came back.|A bird began to sing.] {Outside} [Then they heard voices.|From far away somebody
    called their names.] It was {p}, with a lamp and a big coat. "[There you are|Thank goodness, you are
    safe]!" {phe} cried. "[You did well|That was clever of you]." [At home there was a warm fire and
    {drink}.|At home, they dried their feet at the fire.|<meal>] [{h} and {f} listened to the rain, which
    was now quite soft.|"We were the captains of the storm," said {f}.|<bed>|And when it thunders now, they
    count together.]
    """,
    tables=(
        table("first", """
            - Far away there was thunder.
            - One big drop fell on {his} nose.
            - The birds stopped singing.
            - A cold wind came up.
            - The sun went away.
        """),
        table("obstacle idea safe", """
            - the water of the stream had covered the bridge. / Come, there is a cave in the rocks / They
              crept into the cave, and the floor was dry and soft.
            - a tree had fallen across the path. / We can go under the tree / Under the thick trunk there
              was a hole, and they crept inside.
            - the rain was so thick that they could not see the path. / I know an old hut near here / They
              found the hut, and the door was open.
            - the wind was too strong for them. / Come, behind the big rock / Behind the rock there was no
              wind at all.
            - the path had become a river. / Up here, under the roof of the old mill / They climbed up to
              the mill and sat down on a sack of straw.
        """),
        table("passing", """
            - sang against the thunder
            - told each other the story of the brave little ant
            - counted after each flash
            - shared a piece of bread
            - thought of names for the clouds
        """),
        table("outside", """
            - A rainbow stood over the hills.
            - Every leaf shone.
            - The air smelled fresh and clean.
            - Drops fell from the branches like little pearls.
        """),
    ),
)  # fmt: skip

BOAT = Plot(
    name="boat trip",
    text="""
    <intro> {h} and {f} had built {a_boat}. [They named it the "{boatname}."|On its side they had painted
    the name "{boatname}."] <one_day> they put it into the water. [It did not sink!|It floated!|"Will it
    float?" asked {f}. It did.] They took {food} and {drink} along. "All aboard!" called {h}. {sky}

     [They floated down the river.|The water carried them along.|{h} held the oar, and {f} looked ahead.]
    {Seen} [{F} let {fhis} {hand} hang in the water.|{h} sang a sailor song.|It was quiet, and only the
    water talked.] Then {trouble} "[Oh no|What shall we do?]," cried {f}. "[Stay calm|Do not worry],
    captain," said {h}. {Solution} "[That was close|Well done, sailor|Good work]!" said {f}[, and they both
    laughed|].

     [In the afternoon they came to|Behind the next turn lay|Soon they saw] a small island. It was {island}.
    "[This is our island now|Nobody has ever been here]!" said {h}. [They ate {food} and looked at the
    water.|They put up a flag made of a sock.] {Find} [They stayed until the sun was low.|They wanted to
    stay forever.] {evening} "[We must go back|It is time to go home]," said {f}.

     {P} stood on the shore and waved. "[Did you go far?|Where have you been, sailors?]," asked {p}. "[To
    the end of the world and back|We found a new land|Very far]!" said {h}. [That night their beds moved a
    little, like a boat.|And the next day they painted a map of their island.|<bed>|"Tomorrow we will sail
    again," said {f}.]
    """,
    tables=(
        table("a_boat", """
            - a raft of old logs
            - a little boat with a blue sail
            - a boat out of a big barrel
            - a raft with a small mast
            - a flat wooden boat
        """),
        table("boatname", """
            - Brave Duck
            - Sea Star
            - Flying Fish
            - Little Cloud
            - Lucky Shell
            - Happy Whale
            - Silver Moon
        """),
        table("seen", """
            - Fish swam beside them like silver spoons.
            - A heron stood on one leg and looked at them.
            - Cows on the shore lifted their heads.
            - A family of ducks followed them for a while.
            - The trees on both sides made a green roof.
            - A turtle slid from a log into the water.
        """),
        table("trouble solution", """
            - they were stuck on a sand bank. / They both got out and pushed, and the boat was free.
            - water came in through a small hole. / {h} closed the hole with a sock, and {f} threw out the
              water with a cup.
            - the oar slipped away. / {h} put up a blanket as a sail, and the wind brought them to the oar.
            - the water became fast and wild. / {h} steered to the left and {f} pulled on the rope, and they
              came past all the rocks.
            - a fog came, and they could not see the shore. / {f} rang a small bell, and an old fisherman
              answered and showed them the way.
            - the sail was caught in a branch. / {f} held the boat still, and {h} climbed up and freed it.
        """),
        table("island find", """
            - no bigger than a room / Under a stone they found three white shells.
            - green and round / In the middle grew one tree full of sweet plums.
            - full of birds / They counted eleven nests, but they did not touch them.
            - covered with yellow flowers / {F} made a crown for the captain.
            - full of smooth stones / They built a little tower of stones, so that everybody would know they
              had been there.
        """),
    ),
)  # fmt: skip

SNOW = Plot(
    name="snow day",
    text="""
    <intro> One winter morning, {h} looked out of the window. Everything was white! "[It has snowed|Snow]!"
    {he} [cried|called]. {He} put on {his} [warm coat|thick boots|woolly hat] and ran to {f}. [The snow was
    deep and soft.|The snow creaked under their feet.|Snow lay on every branch.] "[Let us make {figure}|I
    want to make {figure}. Will you help me?]," said {h}. <yes_f>

     They rolled and carried and pushed. {Build} [For the eyes they took two black stones.|Two nuts became
    the eyes.] "[It still needs a nose|Something is missing]," said {f}. {h} [ran home and came back
    with|found] {nose}. [Now it was done.|Now it seemed to smile.|] "[What shall we call it?|It needs a
    name]," said {f}. "[{Snowname}|I think its name is {snowname}]," said {h}.

     But [the next day|two days later] the sun came out. {Snowname} became [smaller and smaller|thin].
    [<sad>|] "[I do not want it to go|Can we stop the sun?]," said {h}. "[It does not really go away|Snow
    never really goes away]," said {e}, who [came by|lived {e_home}]. "[It becomes water, and the water goes
    into the earth|It runs into the river and then into the sea]. {Return}" "[So it only goes on a
    journey|Then it will come back]?" {he} asked. "Yes," said {e}.

     So {h} and {f} waved. "[Have a good trip|See you next winter], {snowname}!" they called. {Later} [And
    when the first snow fell in the next winter, {h} ran outside. "Welcome back!" {he} cried.|"Hello,
    {snowname}," said {h}, and {f} understood.|And {h} was not sad anymore.|They could hardly wait for the
    next winter.]
    """.replace("<yes_f>", '["Of course!" said {f}.|"What fun!" said {f}.|{F} was already making the first ball.]'),
    tables=(
        table("figure build", """
            - a snow bear / First they made a fat round belly, and then a head with two round ears.
            - the biggest snowman in the world / The lowest ball was so big that {p} had to help them push.
            - a snow dog / They made four short legs, a long back and a tail that stood up.
            - a snow lady / They made a long white skirt and put an old scarf around her neck.
            - a snow king / They made a long coat and a crown with seven points.
            - a snow elephant / They made ears as big as plates and a long trunk that touched the ground.
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
        table("return later", """
            - In spring it will be in every flower. / In spring, a white flower stood right in that place.
            - In summer you will swim in it. / In summer, {h} swam in the lake and thought of {snowname}.
            - One day it will be a cloud, and then it will snow again. / In summer, {h} saw a cloud that
              looked just the same.
            - Next winter it will come down from the sky again. / They kept the eyes in a box for the next
              winter.
        """),
    ),
)  # fmt: skip

BUILDING = Plot(
    name="building together",
    text="""
    <intro> <one_day> {h}, {f} and {g} wanted to build {a_house} {at}. <look_around> "[I know how to do it|I
    will be the boss]," said {h}. "No, I know how," said {g}. "[It must be high|It must be big]!" said {f}.
    So [each of them began alone|everybody built something different]. {h} {built1}, {f} {built2}, and {g}
    {built3}. [Nobody looked at what the others did.|]

     [Then a little wind came.|Then a bird sat down on it.|Then {h} leaned against it.] [Crash!|Creak,
    crack, bump!] Everything fell down. [For a moment nobody said anything.|] "[That was your fault|You did
    it wrong]!" said {g}. "[No, yours|No, you did]!" said {f}. {h} looked at the [heap|pieces]. Then {he}
    began to laugh. "[Look at us|We built three houses in one place]!" {he} said. [{F} began to laugh too,
    and then {g}.|Then they all had to laugh.]

     "[Let us make a plan first|Let us start again, but together]," said {f}. {h} drew it in the sand. [{F}
    could {good1}, and {g} could {good2}.|"{F}, you can {good1}, and {g}, you can {good2}," said {h}.] [This
    time they worked side by side.|] [It took the whole day.|By the evening it was done.] {Result}

     [The wind came back, but it stood.|<glad_all>] {E} came to visit. "[Who is the boss here?|Which of you
    built this?]," asked {e}. "[Nobody|We all did]!" they said, all at the same time. [{evening} They sat
    inside and ate {food}.|That night they slept in it, all three of them.|And they hung a sign above the
    door: "Friends only. So everybody can come in."|And there they meet every day.]
    """.replace("<glad_all>", "[All three cheered.|They were so proud.|]"),
    tables=(
        table("a_house result", """
            - a tree house / There it was, high in the tree, with a ladder of rope and a round window.
            - a hut of branches / It had a thick roof of leaves and a soft floor of moss.
            - a little castle / It had two towers, a gate and a blue flag.
            - a house for rainy days / It had a real door, three chairs and a shelf for cookies.
            - a ship on dry land / It had a mast, a wheel and a seat for the captain.
        """),
        table("built1 built2 built3", """
            - put up a wall / began with the roof / made a window
            - looked for long poles / tied ropes / carried stones
            - made a door / laid a floor / put boards on top of each other
            - built to the left / built to the right / built in the middle
        """),
        table("good1 good2", """
            - tie strong knots / cut straight boards
            - climb very well / hit a nail right on the head
            - measure well / find the best wood
            - see if a thing is straight / weave a roof
        """),
    ),
)  # fmt: skip

BAKING = Plot(
    name="baking mishap",
    text="""
    <intro> <one_day> {h} and {f} wanted to bake {a_cake} for {e}. [{P} let them use the kitchen.|"Clean up
    after that," said {p}.] {h} read the recipe, and {f} got everything ready: flour, eggs, butter, and
    {spice}. [Soon there was flour on the table, on the floor and on their noses.|They stirred and
    stirred.|An egg rolled away, and {f} caught it just in time.] "[Now the sugar|Now comes the sugar],"
    said {h}, and {f} gave {him} the white jar.

     [Soon it smelled good.|They put it into the oven and waited.] When it was done, {h} tried a small
    piece. {His} face [became very strange|turned red]. "[What is it?|Is it good?]," asked {f}. "{Wrong}"
    said {h}. [|{F} looked at the jar. It said "salt."|They looked at the jar again. It was the salt.] "[And
    {e} is coming in an hour|Now we have nothing for {e}]!" said {f}. <sad>

     "[We can be sad, or we can try again|Come, we still have time|Do we have enough flour?]," {h} asked [at
    last|]. There was only enough for [something small|half a cake]. "Then we will make {small}," said {f}.
    [This time they tried the sugar first.|] [There was a knock at the door.|Then {e} came in.] "[What
    smells so good here?|Mm, what is that smell?]," asked {e}. They [told {ehim} everything|showed {ehim}
    both plates]. {E} laughed until {ehis} glasses fell down. "[I did the same when I was young|I once made
    a salt cake for a king]," {ehe} said[, "well, almost"|].

     They ate {small} while they were still warm. ["Small, but so good," said {e}.|] {Salt} [From then on,
    they always tried the sugar first.|<friends_end>|"Next time we will make {a_cake}," said {h}, "with
    sugar!"|<bed>]
    """.replace('said[, "well, almost"|]', "said"),
    tables=(
        table("a_cake spice", """
            - an apple cake / cinnamon
            - a chocolate cake / dark chocolate
            - a nut cake / two cups of nuts
            - a carrot cake / three carrots
            - a lemon cake / the juice of a lemon
            - a cherry cake / a bowl of cherries
        """),
        table("wrong", """
            - It is salty!
            - It tastes like the sea!
            - We mixed up the salt and the sugar!
            - Nobody can eat that!
        """),
        table("small", """
            - little buns
            - star cookies
            - tiny cakes
            - thin pancakes
            - heart cookies
            - small waffles
        """),
        table("salt", """
            - The goat got the salty cake, and she was very happy with it.
            - And the salty cake? The goat liked it.
            - The salty cake went to the goat, who asked for more.
            - They gave the salty cake to the old goat, and the goat danced.
        """),
    ),
)  # fmt: skip

RESCUE = Plot(
    name="stuck in the tree",
    things="toys",
    text="""
    <intro> One windy {time}, {h} was playing {at} with {his} {rkite}. It flew higher than the trees. [{h}
    ran and ran, and it danced above {him}.|{F} had never seen it fly so high.] Then a strong wind came, and
    [snap, the string broke|the string slipped out of {his} {hands}]. The {rkite} flew away and was caught
    in {top}. "[Come down|Oh no, my {rkite}]!" cried {h}.

     [{h} jumped, but it was too high.|{h} threw a stick, but now the stick was up there too.|{h} shook the
    tree, but only leaves fell down.] {F} came to help. "[Stand on my back|Climb on my back]," said {f}.
    [But it was still too high.|They could almost reach it, but only almost.] Then {g} came. "[Three are
    taller than two|I can help too]," said {g}. They {tower}[, but it was still not enough|]. And they all
    fell into the grass.

     "[Let us think|Pulling and jumping does not help]," said {h}. "[Who is good at climbing?|Who lives up
    in the trees?]" "{Helper}!" said {f}. They went and asked, and {helper_the} came at once. {Climbs} [Down
    came the {rkite}, slowly, like a big leaf.|And then the {rkite} fell right into {his} arms.] "[Thank
    you, thank you|How can I thank you]!" said {h}. {Reward}

     [The {rkite} had a small hole, and {h} put a paper heart over it.|{F} made a new string, and {g} tied
    it with a strong knot.] [Then it flew again, over the trees and far from them.|After that, everybody had
    one turn, and the last one was for {helper_the}.] [{evening} They carried it home, all of them
    together.|"Now hold it tight," said {f}, and {h} did.|<both_glad>|<bed>]
    """,
    tables=(
        table("rkite", """
            - red kite
            - blue kite
            - yellow kite
            - green kite
            - striped kite
            - paper dragon
            - paper bird
        """),
        table("top", """
            - the top of a tall tree
            - the highest branch of the old oak
            - a big pine tree
            - the crown of a birch
        """),
        table("tower", """
            - stood on top of each other and made a tower
            - built a tower of boxes and climbed up
            - put a ladder on a table
            - tied three sticks together
        """),
        table("helper helper_the climbs reward", """
            - The little crow / the little crow / She took the string in her beak and pulled. / They gave
              the crow a shiny button.
            - The wise old cat / the cat / She climbed up without a sound and bit through the string. / The
              cat got a bowl of milk.
            - The tree doctor / the tree doctor / He had a long ladder and a hook. / They helped him carry
              the ladder home.
            - The small monkey / the small monkey / He swung from branch to branch and laughed. / The monkey
              got a sweet pear.
            - The woodpecker / the woodpecker / He tapped three times on the branch, and the branch shook. /
              They shared their nuts with the woodpecker.
        """),
    ),
)  # fmt: skip

PLOTS = (STORM, BOAT, SNOW, BUILDING, BAKING, RESCUE)
