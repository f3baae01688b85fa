// One request of HTTP/1.1 over a connection of its own: below fetch, above the sockets.
(native) => {
  "use strict";

  // States of an answer, as HttpAnswer.h numbers them.
  const BEGUN = 0;
  const HAS_HEAD = 1;
  const COMPLETE = 2;

  // What frames the message, or goes for one hop, is not the caller's.
  const OURS = new Set(["connection", "content-length", "expect", "host", "keep-alive", "te",
    "trailer", "transfer-encoding", "upgrade"]);

  class Link {
    #wake = () => {};
    complete = false;

    constructor(exchange, signal) {
      this.exchange = exchange;
      this.signal = signal;
      this.onAbort = () => {
        this.close();
        this.#wake();
      };
      signal?.addEventListener("abort", this.onAbort);
    }

    close() {
      native.closeExchange(this.exchange);
      this.signal?.removeEventListener("abort", this.onAbort);
    }

    async ready(writes) {
      await new Promise((resolve) => {
        this.#wake = resolve;
        native.waitFor(this.exchange, writes, resolve);
      });
      this.signal?.throwIfAborted();
    }

    async send(bytes) {
      for (let done = 0; done < bytes.length; ) {
        const sent = native.send(this.exchange, bytes.buffer, bytes.byteOffset + done, bytes.length - done);
        if (sent < 0) return;
        done += sent;
        if (sent === 0) await this.ready(true);
      }
    }

    // Receives until the answer is in a state after `state`.
    async receive(state) {
      try {
        for (;;) {
          const now = native.receive(this.exchange);
          this.complete = now === COMPLETE;
          if (now > state) return;
          await this.ready(false);
        }
      } catch (error) {
        this.close();
        throw error;
      }
    }
  }

  const connected = async (url, method, signal) => {
    if (url.hostname.startsWith("[")) throw new TypeError("there is no IPv6 here");
    const addresses = native.lookUp(url.hostname);
    let failure = new TypeError(
      `the function may reach no host ${url.hostname}; deploy or invoke it with --network HOST:PORT`,
    );
    for (const address of addresses) {
      let link;
      try {
        link = new Link(native.openExchange(address, Number(url.port || 80), method === "HEAD"), signal);
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
    if (body || method === "POST" || method === "PUT")
      lines.push(`content-length: ${body?.length ?? 0}`);
    return Uint8Array.from(lines.join("\r\n") + "\r\n\r\n", (letter) => letter.charCodeAt(0));
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
      if (!link.complete) await link.receive(HAS_HEAD);
      link.close();
      return native.takeBody(link.exchange);
    };
    return { status, reason, fields, load, close: () => link.close() };
  };
};
