// A computation in two parts with a snapshot point between them: `common` turns, then `own`.
const MODULUS = 2 ** 31 - 1;
const MULTIPLIER = 48271;

const advance = (state, turns) => {
  for (let i = 0; i < turns; ++i) state = (state * MULTIPLIER) % MODULUS;
  return state;
};

function main(args) {
  const state = advance(1, args.common);
  const { own } = seuss.snapshotPoint("common");
  return { state: advance(state, own) };
}
