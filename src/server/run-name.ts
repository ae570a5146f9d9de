import { randomInt } from "node:crypto";

const ADJECTIVES =
  "amber ample brave brisk bright calm candid civil clear clever cosy crisp dapper deft eager early fair fleet fond fresh gentle giddy glad golden grand hardy hazel honest humble jolly keen kind lively lucid lunar mellow merry mild nimble noble patient placid plucky polite prime proud quick quiet ready regal rosy royal sandy serene sharp silver simple sleek sober solar solid spry stable steady still stout sunny swift tidy tranquil upbeat vivid warm witty zesty".split(
    " ",
  );
const ANIMALS =
  "alpaca badger beaver bison bittern bobcat buffalo caribou civet condor coot coyote crane curlew dingo dipper dolphin dormouse dove eagle egret falcon ferret finch fox gannet gecko gibbon gopher grebe grouse hare harrier hawk heron hoopoe ibex ibis jackdaw jay kestrel kite koala lark lemur linnet lynx magpie marmot marten mole moose newt ocelot okapi osprey otter owl oyster panda partridge petrel pika plover puffin quail rabbit raven robin salmon seal shrike siskin starling stoat stork swan swift tapir tern thrush toucan trout turtle vole wagtail walrus weasel whale wombat wren".split(
    " ",
  );

/** A friendly name for a run that was given none, for instance `brisk-otter`. */
export function runName(): string {
  return `${ADJECTIVES[randomInt(ADJECTIVES.length)]}-${ANIMALS[randomInt(ANIMALS.length)]}`;
}
