// One request of HTTP/1.1 over a connection of its own: below fetch, above the sockets.
(native, global) => {
  "use strict";

  const { setTimeout } = global;

  // States of an answer, as HttpAnswer.h numbers them.
  const BEGUN = 0;
  const HAS_HEAD = 1;
  const COMPLETE = 2;

  const MOST_CODINGS = 5;

  // What frames the message, or goes for one hop, is not the caller's.
  const OURS = new Set(["connection", "content-length", "expect", "host", "keep-alive", "te",
    "trailer", "transfer-encoding", "upgrade"]);

  const TURN = 10; // ms
  const IDLE_TURNS = 20;

  let waiting = 0; // links that wait for their server

  // Does what needs a descriptor. Without one it goes on when others have given theirs back, while
  // these get on: nobody waits for responses that nobody reads.
  const withDescriptor = async (attempt, signal) => {
    for (let idle = 0; idle < IDLE_TURNS; idle = waiting ? 0 : idle + 1) {
      const made = attempt(waiting === 0);
      if (made !== undefined) return made;
      await new Promise((resolve) => setTimeout(resolve, TURN));
      signal?.throwIfAborted();
    }
    throw new TypeError("there are no descriptors left: read responses, or let them go");
  };

  class Link {
    #wake = () => {};
    state = BEGUN;

    constructor(exchange, signal) {
      this.exchange = exchange;
      this.signal = signal;
      // A signal may live longer than a response that nobody reads: who waits holds the link.
      const weak = new WeakRef(this);
      this.onAbort = () => weak.deref()?.abort();
      signal?.addEventListener("abort", this.onAbort);
    }

    abort() {
      this.close();
      this.#wake();
    }

    close() {
      native.closeExchange(this.exchange);
      this.signal?.removeEventListener("abort", this.onAbort);
    }

    async ready(writes) {
      ++waiting;
      try {
        await new Promise((resolve) => {
          this.#wake = resolve;
          native.waitFor(this.exchange, writes, resolve);
        });
      } finally {
        --waiting;
      }
      this.signal?.throwIfAborted();
    }

    // Takes in what has come.
    #hear() {
      this.state = native.receive(this.exchange);
      if (this.state === COMPLETE) this.close();
    }

    // Sends while the server takes it; a server may answer before the end, and wait to be heard.
    async send(bytes) {
      for (let done = 0; done < bytes.length && this.state !== COMPLETE; ) {
        const sent = native.send(this.exchange, bytes.buffer, bytes.byteOffset + done, bytes.length - done);
        if (sent < 0) return;
        done += sent;
        if (sent > 0) continue;
        await this.ready(true);
        this.#hear();
      }
    }

    // Receives until the answer is in a state after `state`.
    async receive(state) {
      try {
        while (this.state <= state) {
          this.#hear();
          if (this.state <= state) await this.ready(false);
        }
      } catch (error) {
        this.close();
        throw error;
      }
    }
  }

  const connected = async (url, method, signal) => {
    if (url.hostname.startsWith("[")) throw new TypeError("there is no IPv6 here");
    const addresses = await withDescriptor((collect) => native.lookUp(url.hostname, collect), signal);
    let failure = new TypeError(
      `the function may reach no host ${url.hostname}, or its name leads nowhere; ` +
        "deploy or invoke it with --network HOST:PORT",
    );
    for (const address of addresses) {
      const open = (collect) =>
        native.openExchange(address, Number(url.port || 80), method === "HEAD", collect);
      let link;
      try {
        link = new Link(await withDescriptor(open, signal), signal);
        await link.ready(true);
        native.finishConnect(link.exchange);
        return link;
      } catch (error) {
        link?.close();
        signal?.throwIfAborted();
        failure = error;
      }
    }
    throw failure;
  };

  const headOf = (url, method, headers, body) => {
    const lines = [`${method} ${url.pathname}${url.search} HTTP/1.1`, `host: ${url.host}`];
    for (const [name, value] of headers) if (!OURS.has(name)) lines.push(`${name}: ${value}`);
    if (!headers.has("accept")) lines.push("accept: */*");
    if (!headers.has("user-agent")) lines.push("user-agent: seuss");
    lines.push("connection: close");
    if (body || ["POST", "PUT", "PATCH"].includes(method))
      lines.push(`content-length: ${body?.length ?? 0}`);
    return Uint8Array.from(lines.join("\r\n") + "\r\n\r\n", (letter) => letter.charCodeAt(0));
  };

  // The codings of a body, the last first. Servers use some without being asked.
  const codingsOf = (fields) =>
    fields
      .filter(([name]) => name.toLowerCase() === "content-encoding")
      .flatMap(([, value]) => value.toLowerCase().split(","))
      .map((coding) => coding.trim())
      .filter((coding) => coding && coding !== "identity")
      .reverse();

  const plain = (bytes, fields) => {
    if (bytes.length === 0) return bytes;
    const codings = codingsOf(fields);
    if (codings.length > MOST_CODINGS) throw new TypeError("no good body: it is packed over and over");
    for (const coding of codings) {
      if (!["gzip", "x-gzip", "deflate"].includes(coding))
        throw new TypeError(`the body is packed by ${coding}, and only gzip and deflate are there`);
      bytes = native.unpacked(bytes.buffer, bytes.byteOffset, bytes.length, coding !== "deflate");
    }
    return bytes;
  };

  // exchange(url, method, headers, body, signal) -> {status, reason, fields, load}: the head of the
  // answer; load() reads the body, once.
  native.exchange = async (url, method, headers, body, signal) => {
    if (url.protocol === "https:")
      throw new TypeError("https: is not there in JavaScript; TLS is for functions in Python");
    if (url.protocol !== "http:") throw new TypeError(`there is no ${url.protocol}, only http:`);
    const link = await connected(url, method, signal);
    try {
      await link.send(headOf(url, method, headers, body));
      if (body) await link.send(body);
    } catch (error) {
      link.close();
      throw error;
    }
    await link.receive(BEGUN);
    const [status, reason, ...list] = native.answerHead(link.exchange);
    const fields = [];
    for (let i = 0; i < list.length; i += 2) fields.push([list[i], list[i + 1]]);
    const load = async () => {
      signal?.throwIfAborted();
      await link.receive(HAS_HEAD);
      return plain(native.takeBody(link.exchange), fields);
    };
    return { status, reason, fields, load, close: () => link.close() };
  };
};
