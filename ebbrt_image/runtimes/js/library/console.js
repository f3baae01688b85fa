// console (WHATWG console standard) on stdout and stderr, shown as Node.js shows values.
(native, global) => {
  "use strict";

  const MAX_DEPTH = 2;
  const MAX_ENTRIES = 100;
  const MAX_WIDTH = 72;

  const quoted = (text) => {
    const mark = !text.includes("'") ? "'" : !text.includes('"') ? '"' : "'";
    const escaped = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"');
    return mark + (mark === "'" ? escaped.replaceAll("'", "\\'") : escaped.replaceAll('"', '\\"')) + mark;
  };

  const keyText = (key) =>
    typeof key === "symbol"
      ? `[${key.toString()}]`
      : /^[A-Za-z_$][\w$]*$/.test(key)
        ? key
        : quoted(key);

  const className = (value) => {
    const proto = Object.getPrototypeOf(value);
    if (proto === null) return "[Object: null prototype]";
    const maker = proto.constructor;
    return typeof maker === "function" && maker.name ? maker.name : "Object";
  };

  const functionText = (value) => {
    const kind = /^class\b/.test(Function.prototype.toString.call(value)) ? "class" : "Function";
    return value.name ? `[${kind}: ${value.name}]` : `[${kind} (anonymous)]`;
  };

  const laidOut = (begin, parts, end) => {
    const line = parts.join(", ");
    if (parts.length === 0) return begin + end;
    if (line.length <= MAX_WIDTH && !line.includes("\n"))
      return begin.endsWith("[") && end === "]" ? `${begin} ${line} ]` : `${begin} ${line} ${end}`;
    return `${begin}\n${parts.map((part) => "  " + part.replaceAll("\n", "\n  ")).join(",\n")}\n${end}`;
  };

  const inspect = (value, depth = 0, above = []) => {
    switch (typeof value) {
      case "string":
        return depth === 0 && above.length === 0 ? value : quoted(value);
      case "bigint":
        return `${value}n`;
      case "symbol":
        return value.toString();
      case "number":
        return Object.is(value, -0) ? "-0" : String(value);
      case "undefined":
      case "boolean":
        return String(value);
    }
    if (value === null) return "null";
    if (above.includes(value)) return "[Circular]";
    return objectText(value, depth, [...above, value]);
  };

  const inner = (value, depth, above) => inspect(value, depth + 1, above);

  const propertyText = (value, key, depth, above) => {
    const { get, set, value: held } = Object.getOwnPropertyDescriptor(value, key);
    const shown = get ? (set ? "[Getter/Setter]" : "[Getter]") : set ? "[Setter]" : inner(held, depth, above);
    return `${keyText(key)}: ${shown}`;
  };

  const limited = (parts, count) =>
    count > MAX_ENTRIES ? [...parts, `... ${count - MAX_ENTRIES} more`] : parts;

  const objectText = (value, depth, above) => {
    if (value instanceof Error) {
      const stack = typeof value.stack === "string" ? value.stack.trimEnd() : "";
      const text = `${value.name}: ${value.message}${stack ? "\n" + stack : ""}`;
      return value.cause === undefined ? text : `${text}\n[cause]: ${inner(value.cause, depth, above)}`;
    }
    if (value instanceof Date)
      return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
    if (value instanceof RegExp) return String(value);
    if (value instanceof Promise) return "Promise {}";
    const name = className(value);
    const keys = Reflect.ownKeys(value).filter((key) =>
      Object.prototype.propertyIsEnumerable.call(value, key),
    );
    if (typeof value === "function" && keys.length === 0) return functionText(value);
    if (depth > MAX_DEPTH) return Array.isArray(value) ? "[Array]" : `[${name}]`;
    const own = (names) =>
      limited(names.slice(0, MAX_ENTRIES).map((key) => propertyText(value, key, depth, above)), names.length);
    if (Array.isArray(value)) {
      const parts = [];
      for (let i = 0; i < Math.min(value.length, MAX_ENTRIES); ++i)
        parts.push(i in value ? inner(value[i], depth, above) : "<empty>");
      const extra = keys.filter((key) => typeof key === "symbol" || !/^\d+$/.test(key));
      return laidOut("[", [...limited(parts, value.length), ...own(extra)], "]");
    }
    if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
      const parts = Array.from(value.subarray(0, MAX_ENTRIES), (item) => inner(item, depth, above));
      return laidOut(`${name}(${value.length}) [`, limited(parts, value.length), "]");
    }
    if (value instanceof Map) {
      const parts = [...value]
        .slice(0, MAX_ENTRIES)
        .map(([key, held]) => `${inner(key, depth, above)} => ${inner(held, depth, above)}`);
      return laidOut(`Map(${value.size}) {`, limited(parts, value.size), "}");
    }
    if (value instanceof Set) {
      const parts = [...value].slice(0, MAX_ENTRIES).map((held) => inner(held, depth, above));
      return laidOut(`Set(${value.size}) {`, limited(parts, value.size), "}");
    }
    if (value instanceof URL) return value.href;
    const begin =
      typeof value === "function" ? `${functionText(value)} {` : name === "Object" ? "{" : `${name} {`;
    return laidOut(begin, own(keys), "}");
  };

  const safe = (value) => {
    try {
      return inspect(value);
    } catch (error) {
      return `[a value that cannot be shown]`;
    }
  };

  const SPECIFIERS = {
    s: (value) => (typeof value === "object" ? safe(value) : typeof value === "symbol" ? value.toString() : String(value)),
    d: (value) => (typeof value === "object" ? "NaN" : String(Number(value))),
    i: (value) => (typeof value === "object" ? "NaN" : String(Number.parseInt(value))),
    f: (value) => String(Number.parseFloat(value)),
    j: (value) => JSON.stringify(value),
    o: safe,
    O: safe,
    c: () => "",
  };

  const format = (values) => {
    let rest = values;
    const parts = [];
    if (typeof values[0] === "string") {
      rest = values.slice(1);
      parts.push(
        values[0].replace(/%([sdifjoOc%])/g, (found, kind) =>
          kind === "%" ? "%" : rest.length ? SPECIFIERS[kind](rest.shift()) : found,
        ),
      );
    }
    return [...parts, ...rest.map(safe)].join(" ");
  };

  let indent = "";
  const counts = new Map();
  const starts = new Map();

  const print = (descriptor) => (...values) => {
    const text = format(values);
    native.write(descriptor, (indent ? text.replace(/^/gm, indent) : text) + "\n");
  };
  const log = print(1);
  const error = print(2);

  const console = {
    log,
    info: log,
    debug: log,
    error,
    warn: error,
    trace(...values) {
      error(`Trace: ${format(values)}\n${new Error().stack.split("\n").slice(1).join("\n").trimEnd()}`);
    },
    assert(condition, ...values) {
      if (!condition) error(values.length ? `Assertion failed: ${format(values)}` : "Assertion failed");
    },
    dir: (value) => log(safe(value)),
    table: (value) => log(safe(value)),
    group(...values) {
      if (values.length) log(...values);
      indent += "  ";
    },
    groupEnd() {
      indent = indent.slice(2);
    },
    count(label = "default") {
      counts.set(label, (counts.get(label) ?? 0) + 1);
      log(`${label}: ${counts.get(label)}`);
    },
    countReset: (label = "default") => void counts.delete(label),
    time: (label = "default") => void starts.set(label, performance.now()),
    timeLog(label = "default", ...values) {
      if (starts.has(label)) log(`${label}: ${(performance.now() - starts.get(label)).toFixed(3)}ms`, ...values);
    },
    timeEnd(label = "default") {
      console.timeLog(label);
      starts.delete(label);
    },
  };
  console.groupCollapsed = console.group;

  Object.defineProperty(global, "console", { value: console, writable: true, configurable: true });
};
