// URL and URLSearchParams (WHATWG URL standard).
(native, global) => {
  "use strict";

  const isPairs = (init) => typeof init[Symbol.iterator] === "function";

  class URLSearchParams {
    #list = [];
    #changed = () => {};

    constructor(init = "") {
      if (init === null || (typeof init !== "object" && typeof init !== "function")) {
        this.#list = native.parseParameters(String(init));
      } else if (isPairs(init)) {
        for (const pair of init) {
          const both = [...pair];
          if (both.length !== 2)
            throw new TypeError("each entry needs a name and a value, and nothing more");
          this.#list.push(String(both[0]), String(both[1]));
        }
      } else {
        for (const name of Object.keys(init)) this.#list.push(name, String(init[name]));
      }
    }

    // Binds the parameters to a URL, without a public way to do so.
    static of(text, changed) {
      const made = new URLSearchParams(text);
      made.#changed = changed;
      return made;
    }

    static replace(params, text) {
      params.#list = native.parseParameters(text);
    }

    #filter(keep) {
      const kept = [];
      for (let i = 0; i < this.#list.length; i += 2)
        if (keep(this.#list[i], this.#list[i + 1])) kept.push(this.#list[i], this.#list[i + 1]);
      this.#list = kept;
    }

    get size() {
      return this.#list.length / 2;
    }

    append(name, value) {
      this.#list.push(String(name), String(value));
      this.#changed(this.toString());
    }

    delete(name, value) {
      name = String(name);
      this.#filter((n, v) => n !== name || (value !== undefined && v !== String(value)));
      this.#changed(this.toString());
    }

    get(name) {
      return this.getAll(name)[0] ?? null;
    }

    getAll(name) {
      name = String(name);
      return this.#list.filter((_, i) => i % 2 === 1 && this.#list[i - 1] === name);
    }

    has(name, value) {
      const values = this.getAll(name);
      return value === undefined ? values.length > 0 : values.includes(String(value));
    }

    set(name, value) {
      name = String(name);
      let found = false;
      this.#filter((n) => n !== name || (!found && (found = true)));
      if (!found) this.#list.push(name, "");
      for (let i = 0; i < this.#list.length; i += 2)
        if (this.#list[i] === name) this.#list[i + 1] = String(value);
      this.#changed(this.toString());
    }

    sort() {
      const pairs = [...this].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
      this.#list = pairs.flat();
      this.#changed(this.toString());
    }

    forEach(callback, self) {
      for (const [name, value] of this) callback.call(self, value, name, this);
    }

    *entries() {
      for (let i = 0; i < this.#list.length; i += 2) yield [this.#list[i], this.#list[i + 1]];
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

    toString() {
      return native.parametersText(this.#list);
    }

    get [Symbol.toStringTag]() {
      return "URLSearchParams";
    }
  }

  const { of, replace } = URLSearchParams;
  delete URLSearchParams.of;
  delete URLSearchParams.replace;

  class URL {
    #parts;
    #params;

    constructor(url, base) {
      this.#parts = native.parseUrl(String(url), base === undefined ? base : String(base));
      if (this.#parts === null) {
        const error = new TypeError("Invalid URL");
        error.code = "ERR_INVALID_URL";
        error.input = String(url);
        throw error;
      }
    }

    static canParse(url, base) {
      return native.parseUrl(String(url), base === undefined ? base : String(base)) !== null;
    }

    static parse(url, base) {
      return URL.canParse(url, base) ? new URL(url, base) : null;
    }

    // Not public: taken away below.
    static change(url, part, value) {
      const parts = native.changeUrl(url.#parts.href, part, String(value));
      if (parts === null) throw new TypeError("Invalid URL");
      url.#parts = parts;
      if (url.#params) replace(url.#params, parts.search);
    }

    static part(url, part) {
      return url.#parts[part];
    }

    get origin() {
      return this.#parts.origin;
    }

    get searchParams() {
      return (this.#params ??= of(this.#parts.search, (text) => {
        this.#parts = native.changeUrl(this.#parts.href, "search", text);
      }));
    }

    toString() {
      return this.#parts.href;
    }

    toJSON() {
      return this.#parts.href;
    }

    get [Symbol.toStringTag]() {
      return "URL";
    }
  }

  const { change, part } = URL;
  delete URL.change;
  delete URL.part;
  for (const name of "href protocol username password host hostname port pathname search hash".split(" "))
    Object.defineProperty(URL.prototype, name, {
      get() {
        return part(this, name);
      },
      set(value) {
        change(this, name, value);
      },
      enumerable: true,
      configurable: true,
    });

  for (const [name, value] of Object.entries({ URL, URLSearchParams }))
    Object.defineProperty(global, name, { value, writable: true, configurable: true });
};
