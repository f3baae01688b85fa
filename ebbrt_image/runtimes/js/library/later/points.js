// Snapshot points, for functions that have one: the names that the source gives them, the guard
// of the arguments before the point, and the way past it. What the guard hides is not in the guest
// yet, or in a closure of this file: it only sees to it that a function hears of what it misses.
(native, global) => {
  "use strict";

  const { PointError } = global.seuss;
  const { defineProperty, deleteProperty, get, has, getOwnPropertyDescriptor, ownKeys } = Reflect;
  const CALL = "snapshotPoint";
  const MAX_NAMES_TEXT = 512;

  // --- the names, from the source ---

  const NEXT =
    /(\s+|\/\/.*|\/\*[^]*?\*\/)|([\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*)|('[^'\\\n]*(?:\\[^][^'\\\n]*)*'|"[^"\\\n]*(?:\\[^][^"\\\n]*)*")|([0-9][\w.]*)|\+\+|--|[^]/uy;
  const REGEXP = /\/(?![*/])(?:[^\\/[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/\w*/uy;
  const TEMPLATE = /[^`\\$]*(?:(?:\\[^]|\$(?!\{))[^`\\$]*)*(?:`|(\$\{)|$)/uy;
  const BEFORE_OPERAND = new Set(
    "await case delete do else in instanceof new of return throw typeof void yield".split(" "),
  );
  const BEFORE_CONDITION = new Set(["for", "if", "while", "with"]);

  // The source's tokens with their places, without comments, texts of templates and regular
  // expressions. A slash divides where an operand has ended.
  function* tokens(source) {
    const open = [];
    let operand = false;
    let last = "";
    let at = 0;
    const skipTemplate = () => {
      TEMPLATE.lastIndex = at;
      const [, inner] = TEMPLATE.exec(source);
      at = TEMPLATE.lastIndex;
      if (inner) open.push("`");
      operand = !inner;
    };
    while (at < source.length) {
      const place = at;
      if (source[at] === "/" && !operand) {
        REGEXP.lastIndex = at;
        if (REGEXP.test(source)) {
          at = REGEXP.lastIndex;
          operand = true;
          last = "/";
          continue;
        }
      }
      NEXT.lastIndex = at;
      const [text, blank, word, string, number] = NEXT.exec(source);
      at = NEXT.lastIndex;
      if (blank) continue;
      if (word) operand = last === "." || !BEFORE_OPERAND.has(word);
      else if (string || number) operand = true;
      else if (text === "(") open.push(BEFORE_CONDITION.has(last) ? "if" : "("), (operand = false);
      else if (text === ")") operand = open.pop() !== "if";
      else if (text === "{") open.push("{"), (operand = false);
      else if (text === "`" || (text === "}" && open.pop() === "`")) skipTemplate();
      else if (text !== "++" && text !== "--") operand = text === "]";
      last = text;
      yield [text, place];
    }
  }

  const inOrder = (one, other) => {
    const [a, b] = [[...one], [...other]];
    for (let i = 0; i < Math.min(a.length, b.length); ++i)
      if (a[i] !== b[i]) return a[i].codePointAt(0) - b[i].codePointAt(0);
    return a.length - b.length;
  };
  const sorted = (texts) => [...new Set(texts)].sort(inOrder);
  const asText = (texts) =>
    JSON.stringify(texts).replaceAll(/[^\0-\x7f]/g, "\\u0000").replaceAll('","', '", "');

  // The names of a call behind its own name; a text says what is wrong, null that it is no call.
  const namesOfCall = (rest) => {
    const next = () => (rest.next().value ?? [""])[0];
    let token = next();
    if (token === "?" && next() === ".") token = next();
    if (token !== "(") return null;
    const names = [];
    for (token = next(); token !== ")"; token = next()) {
      if (token[0] !== "'" && token[0] !== '"') return "takes its names as plain texts, as in ('model')";
      // A literal by the scan above.
      names.push((0, eval)(token));
      token = next();
      if (token === ")") break;
      if (token !== ",") return "takes its names as plain texts, as in ('model')";
    }
    const told = sorted(names);
    return asText(told).length > MAX_NAMES_TEXT ? `has names of over ${MAX_NAMES_TEXT} characters` : told;
  };

  // The sorted names, or a text that says what is wrong, or null for a source without a point.
  const find = (source, file) => {
    let ours = false;
    let found = null;
    let fault = null;
    let last = "";
    const rest = tokens(source);
    for (const [text, place] of rest) {
      ours ||= text === "seuss";
      const defined = last === "function" || last === "*";
      last = text;
      if (text !== CALL || defined) continue;
      let names = namesOfCall(rest);
      if (names === null) continue;
      if (typeof names !== "string" && found && asText(names) !== asText(found))
        names = `names ${asText(names)}, another call names ${asText(found)}: one point each`;
      if (typeof names === "string")
        fault ??= `${file}:${source.slice(0, place).split("\n").length}: ${CALL} ${names}`;
      else found = names;
    }
    return ours ? (fault ?? found) : null;
  };

  // --- the arguments before the point ---

  let names = [];
  let passage = null;

  const isNamed = (key) => typeof key === "string" && names.includes(key);
  const refusal = (what) =>
    new PointError(
      `${what} before ${CALL}(${names.map((name) => JSON.stringify(name)).join(", ")}): until then ` +
        `${names.length ? `only ${names.join(", ")}` : "no argument"} can be read. ` +
        "Name it there, or do this after it.",
    );
  const checked = (ask) => (target, key, ...more) => {
    if (!isNamed(key)) throw refusal(`args[${typeof key === "symbol" ? String(key) : JSON.stringify(key)}] is read`);
    return ask(target, key, ...more);
  };
  const refusing = (what) => () => {
    throw refusal(what);
  };

  const guarded = (given) => {
    const target = {};
    for (const name of names)
      if (getOwnPropertyDescriptor(given, name)) put(target, name, given[name]);
    const traps = {
      get: checked((object, key) => get(object, key)),
      has: checked(has),
      getOwnPropertyDescriptor: checked(getOwnPropertyDescriptor),
      ownKeys: refusing("args is used as a whole"),
      isExtensible: refusing("args is used as a whole"),
    };
    for (const trap of ["set", "defineProperty", "deleteProperty", "preventExtensions", "setPrototypeOf"])
      traps[trap] = refusing("args is changed");
    return { target, traps, guard: new Proxy(target, traps) };
  };

  const put = (object, key, value) =>
    defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });

  // Makes the guard an object of all arguments, in the caller's order; of the named ones `whole`
  // only gives the places, for the function may have changed them.
  const lift = ({ target, traps }, whole) => {
    const kept = new Map(ownKeys(target).map((key) => [key, target[key]]));
    for (const key of kept.keys()) deleteProperty(target, key);
    for (const key of ownKeys(whole)) put(target, key, kept.has(key) ? kept.get(key) : whole[key]);
    for (const trap of ownKeys(traps)) delete traps[trap];
  };

  // --- the way ---

  // Returns main's argument; null where BEGIN's names are not the point's, false where it brings
  // others than it names.
  const enter = (told, begun) => {
    let given = told;
    if (begun) {
      if (!Array.isArray(told.names) || JSON.stringify(told.names) !== JSON.stringify(names)) return null;
      given = told.args;
      if (typeof given !== "object" || given === null || Array.isArray(given)) return false;
      if (!ownKeys(given).every(isNamed)) return false;
    }
    passage = { ...guarded(given), whole: begun ? null : told, crossed: false, crossing: false };
    return passage.guard;
  };

  const leave = () => {
    passage = null;
  };

  global.seuss.snapshotPoint = (...asked) => {
    const here = passage;
    if (here === null || here.crossing) throw new PointError("snapshotPoint is for main, once, while it runs");
    if (asText(sorted(asked.map(String))) !== asText(names))
      throw new PointError(
        `${CALL}(${asked.map(String).join(", ")}) is not what the source says: write its names, and ` +
          "the call's own name, as they are",
      );
    if (!here.crossed) {
      here.crossing = true;
      try {
        lift(here, here.whole ?? native.rest());
        here.crossed = true;
      } finally {
        here.crossing = false;
      }
    }
    return here.target;
  };

  return {
    find(source, file) {
      const found = find(source, file);
      if (Array.isArray(found)) names = found;
      return found;
    },
    enter,
    leave,
  };
};
