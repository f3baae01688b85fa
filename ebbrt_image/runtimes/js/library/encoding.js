// TextEncoder, TextDecoder (UTF-8), atob, btoa (WHATWG encoding and HTML standards).
(native, global) => {
  "use strict";

  const LABELS = new Set(["utf-8", "utf8", "unicode-1-1-utf-8", "unicode11utf8", "x-unicode20utf8"]);

  const viewOf = (input, what) => {
    if (input instanceof ArrayBuffer) return new Uint8Array(input);
    if (ArrayBuffer.isView(input))
      return new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
    throw new TypeError(`${what} is no ArrayBuffer and no view of one`);
  };

  class TextEncoder {
    get encoding() {
      return "utf-8";
    }

    encode(text = "") {
      return native.encodeUtf8(String(text).toWellFormed());
    }

    encodeInto(text, target) {
      let read = 0;
      let written = 0;
      for (const letter of String(text).toWellFormed()) {
        const bytes = native.encodeUtf8(letter);
        if (written + bytes.length > target.length) break;
        target.set(bytes, written);
        written += bytes.length;
        read += letter.length;
      }
      return { read, written };
    }
  }

  // How many bytes at the end are the begin of a letter whose rest may follow.
  const unfinished = (bytes) => {
    for (let back = 1; back <= Math.min(3, bytes.length); ++back) {
      const byte = bytes[bytes.length - back];
      if (byte >= 0xc2 && byte <= 0xf4) {
        const needed = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
        return needed > back ? back : 0;
      }
      if ((byte & 0xc0) !== 0x80) return 0;
    }
    return 0;
  };

  const sameBytes = (one, other) =>
    one.length === other.length && one.every((byte, i) => byte === other[i]);

  class TextDecoder {
    #fatal;
    #ignoreBOM;
    #rest = new Uint8Array(0);
    #begun = false;

    constructor(label = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
      if (!LABELS.has(String(label).trim().toLowerCase()))
        throw new RangeError(`the encoding ${label} is not there, only utf-8`);
      this.#fatal = Boolean(fatal);
      this.#ignoreBOM = Boolean(ignoreBOM);
    }

    get encoding() {
      return "utf-8";
    }

    get fatal() {
      return this.#fatal;
    }

    get ignoreBOM() {
      return this.#ignoreBOM;
    }

    decode(input = new Uint8Array(0), { stream = false } = {}) {
      let bytes = viewOf(input, "what is to be decoded");
      if (this.#rest.length) {
        const joined = new Uint8Array(this.#rest.length + bytes.length);
        joined.set(this.#rest);
        joined.set(bytes, this.#rest.length);
        bytes = joined;
      }
      const end = bytes.length - (stream ? unfinished(bytes) : 0);
      this.#rest = bytes.slice(end);
      const part = bytes.subarray(0, end);
      let text = native.decodeUtf8(part.buffer, part.byteOffset, part.length);
      if (this.#fatal && text.includes("\ufffd") && !sameBytes(native.encodeUtf8(text), part)) {
        this.#rest = new Uint8Array(0);
        this.#begun = false;
        throw new TypeError("the bytes are no UTF-8");
      }
      if (!this.#begun && part.length && !this.#ignoreBOM && text[0] === "\ufeff")
        text = text.slice(1);
      this.#begun = stream && (this.#begun || part.length > 0);
      return text;
    }
  }

  const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const wrongLetter = (text) => new DOMException(text, "InvalidCharacterError");

  const btoa = (text) => {
    text = String(text);
    let encoded = "";
    for (let i = 0; i < text.length; i += 3) {
      let bits = 0;
      for (let j = 0; j < 3; ++j) {
        const code = i + j < text.length ? text.charCodeAt(i + j) : 0;
        if (code > 255) throw wrongLetter("btoa takes letters up to U+00FF");
        bits = (bits << 8) | code;
      }
      const count = Math.min(4, text.length - i + 1);
      for (let j = 0; j < 4; ++j)
        encoded += j < count ? DIGITS[(bits >> (18 - 6 * j)) & 63] : "=";
    }
    return encoded;
  };

  const atob = (text) => {
    text = String(text).replace(/[\t\n\f\r ]/g, "");
    if (text.length % 4 === 0) text = text.replace(/={1,2}$/, "");
    if (text.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(text))
      throw wrongLetter("atob takes base64");
    let decoded = "";
    let bits = 0;
    let held = 0;
    for (const letter of text) {
      bits = ((bits << 6) | DIGITS.indexOf(letter)) & 0xffff;
      held += 6;
      if (held < 8) continue;
      held -= 8;
      decoded += String.fromCharCode((bits >> held) & 255);
    }
    return decoded;
  };

  for (const [name, value] of Object.entries({ TextEncoder, TextDecoder, atob, btoa }))
    Object.defineProperty(global, name, { value, writable: true, configurable: true });
};
