// Headers (WHATWG fetch standard): no name and no value in them can end a line of HTTP.
(native, global) => {
  "use strict";

  const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

  const checkedName = (name) => {
    name = String(name);
    if (!TOKEN.test(name)) throw new TypeError(`${JSON.stringify(name)} is no name of a header`);
    return name.toLowerCase();
  };

  const BLANK = "\t\n\r ";

  // An expression would go over blanks inside again and again, and servers choose how many.
  const trimmed = (text) => {
    let start = 0;
    let end = text.length;
    while (start < end && BLANK.includes(text[start])) ++start;
    while (end > start && BLANK.includes(text[end - 1])) --end;
    return text.slice(start, end);
  };

  const checkedValue = (value) => {
    value = trimmed(String(value));
    if (/[\0\n\r]|[^\0-\xff]/.test(value))
      throw new TypeError(`${JSON.stringify(value)} is no value of a header`);
    return value;
  };

  class Headers {
    #lists = new Map();

    constructor(init = []) {
      if (typeof init !== "object" || init === null)
        throw new TypeError("headers come from an object or from pairs");
      const pairs = typeof init[Symbol.iterator] === "function" ? init : Object.entries(init);
      for (const pair of pairs) {
        const both = [...pair];
        if (both.length !== 2) throw new TypeError("each entry needs a name and a value, and nothing more");
        this.append(both[0], both[1]);
      }
    }

    append(name, value) {
      name = checkedName(name);
      this.#lists.set(name, [...(this.#lists.get(name) ?? []), checkedValue(value)]);
    }

    set(name, value) {
      this.#lists.set(checkedName(name), [checkedValue(value)]);
    }

    delete(name) {
      this.#lists.delete(checkedName(name));
    }

    get(name) {
      return this.#lists.get(checkedName(name))?.join(", ") ?? null;
    }

    has(name) {
      return this.#lists.has(checkedName(name));
    }

    getSetCookie() {
      return [...(this.#lists.get("set-cookie") ?? [])];
    }

    forEach(callback, self) {
      for (const [name, value] of this) callback.call(self, value, name, this);
    }

    *entries() {
      for (const name of [...this.#lists.keys()].sort()) {
        const list = this.#lists.get(name) ?? [];
        if (name === "set-cookie") for (const value of list) yield [name, value];
        else if (list.length) yield [name, list.join(", ")];
      }
    }

    *keys() {
      for (const [name] of this.entries()) yield name;
    }

    *values() {
      for (const [, value] of this.entries()) yield value;
    }

    [Symbol.iterator]() {
      return this.entries();
    }

    get [Symbol.toStringTag]() {
      return "Headers";
    }
  }

  const NORMALISED = ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"];

  native.checkedMethod = (method) => {
    method = String(method);
    const upper = method.toUpperCase();
    if (!TOKEN.test(method) || ["CONNECT", "TRACE", "TRACK"].includes(upper))
      throw new TypeError(`${JSON.stringify(method)} is no method of fetch`);
    return NORMALISED.includes(upper) ? upper : method;
  };

  Object.defineProperty(global, "Headers", { value: Headers, writable: true, configurable: true });
};
