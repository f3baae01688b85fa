// fetch, Request, Response (WHATWG fetch standard), without streams and blobs.
(native, global) => {
  "use strict";

  const MOST_REDIRECTS = 20;
  const REDIRECTS = [301, 302, 303, 307, 308];
  const OF_BODIES = ["content-encoding", "content-language", "content-location", "content-type"];
  const WITHOUT_BODY = [101, 103, 204, 205, 304];

  const TEXT = "text/plain;charset=UTF-8";
  const FORM = "application/x-www-form-urlencoded;charset=UTF-8";

  // The bytes and the type of what was given as a body.
  const extracted = (body) => {
    if (body instanceof ArrayBuffer) return [new Uint8Array(body.slice(0)), null];
    if (ArrayBuffer.isView(body))
      return [new Uint8Array(body.buffer, body.byteOffset, body.byteLength).slice(), null];
    // Its text would be sent in its place.
    if (body?.[Symbol.asyncIterator]) throw new TypeError("a body is whole: there are no streams");
    const type = body instanceof URLSearchParams ? FORM : TEXT;
    return [native.encodeUtf8(String(body).toWellFormed()), type];
  };

  class Body {
    #load; // gives the bytes, once; null where there is no body
    #used = false;
    #shared = false;

    constructor(load) {
      this.#load = load;
    }

    // Has two bodies get the same bytes.
    static share(body) {
      if (body.#used) throw new TypeError("the body has been read already");
      if (!body.#load) return null;
      const load = body.#load;
      let bytes;
      const both = () => (bytes ??= load());
      body.#load = both;
      body.#shared = true;
      return both;
    }

    // Has another body get the bytes in its place.
    static take(body) {
      if (body.#used) throw new TypeError("the body has been read already");
      body.#used = body.#load !== null;
      return body.#load;
    }

    static copied(body) {
      body.#shared = true;
      return body;
    }

    static has(body) {
      return body.#load !== null;
    }

    get bodyUsed() {
      return this.#used;
    }

    async bytes() {
      if (this.#used) throw new TypeError("the body has been read already");
      if (!this.#load) return new Uint8Array(0);
      this.#used = true;
      const bytes = await this.#load();
      return this.#shared ? bytes.slice() : bytes;
    }

    async arrayBuffer() {
      return (await this.bytes()).buffer;
    }

    async text() {
      return new TextDecoder().decode(await this.bytes());
    }

    async json() {
      return JSON.parse(await this.text());
    }
  }

  const { share, take, copied, has } = Body;
  delete Body.share;
  delete Body.take;
  delete Body.copied;
  delete Body.has;

  const loading = (bytes) => (bytes ? async () => bytes : null);

  const CLONE = Symbol();

  class Request extends Body {
    #fields;

    constructor(input, init, purpose = undefined) {
      init ??= {};
      const from = input instanceof Request ? input : null;
      const url = new URL(from ? from.url : String(input));
      if (url.username || url.password) throw new TypeError("a URL of fetch has no user and no password");
      const method = native.checkedMethod(init.method ?? from?.method ?? "GET");
      const headers = new Headers(init.headers ?? from?.headers);
      // Who asks for it counts on it.
      if (init.integrity) throw new TypeError("integrity is not checked here: hash the body");
      const given = init.body !== undefined && init.body !== null;
      if ((given || (from && has(from))) && (method === "GET" || method === "HEAD"))
        throw new TypeError(`${method} has no body`);
      let load = null;
      if (given) {
        const [bytes, type] = extracted(init.body);
        if (type && !headers.has("content-type")) headers.set("content-type", type);
        load = loading(bytes);
      } else if (from) {
        load = purpose === CLONE ? share(from) : take(from);
      }
      const redirect = init.redirect ?? from?.redirect ?? "follow";
      if (!["follow", "error", "manual"].includes(redirect))
        throw new TypeError(`redirect is follow, error or manual, not ${redirect}`);
      const signal = init.signal === undefined ? (from?.signal ?? null) : init.signal;
      if (signal !== null && !(signal instanceof AbortSignal))
        throw new TypeError("signal is no AbortSignal");
      super(load);
      this.#fields = { url: url.href, method, headers, redirect, signal };
      if (from) copied(this);
    }

    get url() {
      return this.#fields.url;
    }

    get method() {
      return this.#fields.method;
    }

    get headers() {
      return this.#fields.headers;
    }

    get redirect() {
      return this.#fields.redirect;
    }

    get signal() {
      return this.#fields.signal;
    }

    clone() {
      return new Request(this, {}, CLONE);
    }
  }

  const FROM_SERVER = Symbol();

  class Response extends Body {
    #fields;

    constructor(body = null, init, origin = undefined) {
      init ??= {};
      const served = origin?.[FROM_SERVER];
      const status = init.status ?? 200;
      if (!served && !(Number.isInteger(status) && status >= 200 && status <= 599))
        throw new RangeError("a status is a number from 200 to 599");
      const headers = new Headers(init.headers ?? []);
      let load = served ? served.load : null;
      if (!served && body !== null && body !== undefined) {
        if (WITHOUT_BODY.includes(status)) throw new TypeError(`a response ${status} has no body`);
        const [bytes, type] = extracted(body);
        if (type && !headers.has("content-type")) headers.set("content-type", type);
        load = loading(bytes);
      }
      super(load);
      const { url = "", redirected = false } = served ?? {};
      const statusText = String(init.statusText ?? "");
      this.#fields = { status, statusText, headers, url, redirected };
    }

    static json(data, init) {
      init ??= {};
      const headers = new Headers(init.headers ?? []);
      if (!headers.has("content-type")) headers.set("content-type", "application/json");
      return new Response(JSON.stringify(data), { ...init, headers });
    }

    get status() {
      return this.#fields.status;
    }

    get statusText() {
      return this.#fields.statusText;
    }

    get headers() {
      return this.#fields.headers;
    }

    get url() {
      return this.#fields.url;
    }

    get redirected() {
      return this.#fields.redirected;
    }

    get ok() {
      return this.status >= 200 && this.status <= 299;
    }

    get type() {
      return this.url ? "basic" : "default";
    }

    clone() {
      const { url, redirected } = this.#fields;
      const origin = { [FROM_SERVER]: { load: share(this), url, redirected } };
      return copied(new Response(null, this, origin));
    }
  }

  const explained = (error, method, url, signal) => {
    if (signal?.aborted) return signal.reason;
    return new TypeError(`${method} ${url}: ${error.message}`, { cause: error });
  };

  // Where an answer sends to, or null.
  const redirection = (answer, headers, url, mode) => {
    const place = headers.get("location");
    if (!REDIRECTS.includes(answer.status) || place === null || mode === "manual") return null;
    answer.close();
    if (mode === "error") throw new TypeError("it is redirected, which was not wanted");
    // Fields are letters up to U+00FF here; what servers mean by those beyond ASCII is UTF-8.
    const text = new TextDecoder().decode(Uint8Array.from(place, (letter) => letter.charCodeAt(0)));
    const next = URL.parse(text, url);
    if (next === null) throw new TypeError(`it is redirected to what is no URL: ${JSON.stringify(text)}`);
    if (next.username || next.password)
      throw new TypeError("it is redirected to a URL with a user or a password");
    if (!next.hash) next.hash = url.hash;
    return next;
  };

  const fetch = async (input, init) => {
    const request = new Request(input, init);
    const { signal, redirect } = request;
    signal?.throwIfAborted();
    const given = await request.bytes();
    let body = given.length ? given : null;
    let method = request.method;
    let url = new URL(request.url);
    const sent = new Headers(request.headers);
    for (let count = 0; ; ++count) {
      try {
        const answer = await native.exchange(url, method, sent, body, signal);
        const headers = new Headers();
        for (const [name, value] of answer.fields) headers.append(name, value);
        const next = redirection(answer, headers, url, redirect);
        if (next === null) {
          const shown = new URL(url);
          shown.hash = "";
          const load = async () => {
            try {
              return await answer.load();
            } catch (error) {
              throw explained(error, method, url.href, signal);
            }
          };
          const served = { load, url: shown.href, redirected: count > 0 };
          const { status, reason: statusText } = answer;
          return new Response(null, { status, statusText, headers }, { [FROM_SERVER]: served });
        }
        if (count === MOST_REDIRECTS) throw new TypeError(`more than ${MOST_REDIRECTS} redirects`);
        const asGet = answer.status === 303 ? !["GET", "HEAD"].includes(method) : method === "POST";
        if (asGet && answer.status <= 303) {
          method = "GET";
          body = null;
          for (const name of OF_BODIES) sent.delete(name);
        }
        if (next.origin !== url.origin) for (const name of ["authorization", "cookie"]) sent.delete(name);
        url = next;
      } catch (error) {
        throw explained(error, method, url.href, signal);
      }
    }
  };

  for (const [name, value] of Object.entries({ Request, Response, fetch }))
    Object.defineProperty(global, name, { value, writable: true, configurable: true });
};
