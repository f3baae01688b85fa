// A guest for the tests of the dispatcher: it speaks the wire format (Frame.h
// of the messenger) and plays an interpreter. What it does is chosen by words
// in the payloads: a function whose code holds "load-NAME" misbehaves while it
// is loaded, arguments that hold "run-NAME" while it runs.

#include "Console.h"

namespace {

constexpr uint32 kHeaderSize = 32;
constexpr uint32 kMaxPayload = 1 << 20;
constexpr uint32 kMagic = 0x53554553;
constexpr uint32 kDirtyPages = 100;

enum Type : uint16 {
  kSync = 0x01,
  kOptimise = 0x02,
  kLoad = 0x03,
  kInvoke = 0x04,
  kUnload = 0x05,
  kStatus = 0x06,
  kShutdown = 0x07,
  kReady = 0x81,
  kDone = 0x82,
  kLoaded = 0x83,
  kResult = 0x84,
  kError = 0x85,
  kStdout = 0x86,
  kStderr = 0x87,
  kStatusAnswer = 0x88,
  kLog = 0x89,
  kEnded = 0x8a,
};

struct Header {
  uint32 magic;
  uint8 version;
  uint8 flags;
  uint16 type;
  uint32 id;
  uint32 id_high;
  uint32 context;
  uint32 length;
  uint32 time;
  uint32 check;
};

static_assert(sizeof(Header) == kHeaderSize);

uint8 frame[kHeaderSize + kMaxPayload];
uint8 answer[kHeaderSize + kPageSize];
volatile uint8 touched[kDirtyPages * kPageSize];
char text[kPageSize];
uint32 text_length;
uint8 seed[8];
uint32 loads;
uint32 calls;

uint32 Crc32(const uint8* data, uint32 length) {
  uint32 crc = 0xffffffff;
  for (uint32 at = 0; at < length; ++at) {
    crc ^= data[at];
    for (uint32 bit = 0; bit < 8; ++bit)
      crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc;
}

uint32 Length(const char* word) {
  uint32 length = 0;
  while (word[length])
    ++length;
  return length;
}

// Puts a header in front of the answer to come.
void WriteHeader(uint16 type, uint32 id, uint32 length) {
  Header header{kMagic, 1, 0, type, id, 0, 0, length, 0, 0};
  header.check = Crc32(reinterpret_cast<uint8*>(&header), kHeaderSize - 4);
  for (uint32 at = 0; at < kHeaderSize; ++at)
    answer[at] = reinterpret_cast<uint8*>(&header)[at];
}

// Sends a header alone, whatever it promises.
void SendHeader(uint16 type, uint32 id, uint32 length) {
  WriteHeader(type, id, length);
  console::Send(answer, kHeaderSize);
}

void SendFrame(uint16 type, uint32 id, const char* payload, uint32 length) {
  WriteHeader(type, id, length);
  for (uint32 at = 0; at < length; ++at)
    answer[kHeaderSize + at] = static_cast<uint8>(payload[at]);
  console::Send(answer, kHeaderSize + length);
}

void SendText(uint16 type, uint32 id, const char* payload) {
  SendFrame(type, id, payload, Length(payload));
}

void Append(const char* word) {
  while (*word)
    text[text_length++] = *word++;
}

void AppendNumber(uint32 number) {
  char digits[11];
  uint32 at = sizeof(digits) - 1;
  digits[at] = 0;
  do {
    digits[--at] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number);
  Append(digits + at);
}

void AppendSeed() {
  for (uint8 byte : seed) {
    const char pair[] = {"0123456789abcdef"[byte >> 4],
                         "0123456789abcdef"[byte & 15], 0};
    Append(pair);
  }
}

bool Holds(const Header& header, const char* word) {
  const uint8* payload = frame + kHeaderSize;
  uint32 length = Length(word);
  for (uint32 at = 0; at + length <= header.length; ++at) {
    uint32 same = 0;
    while (same < length &&
           payload[at + same] == static_cast<uint8>(word[same]))
      ++same;
    if (same == length)
      return true;
  }
  return false;
}

// Misbehaves if the payload asks for it; returns whether an answer was given.
bool Misbehave(const Header& header, bool loading) {
  auto asked = [&](const char* load_word, const char* run_word) {
    return Holds(header, loading ? load_word : run_word);
  };
  if (asked("load-error", "run-error")) {
    SendText(kError, header.id,
             "{\"kind\":\"exception\",\"message\":\"asked for\","
             "\"traceback\":\"line 1\"}");
    return true;
  }
  if (asked("load-hang", "run-hang"))
    for (;;)
      asm volatile("pause");
  if (asked("load-panic", "run-panic")) {
    Print("panic: asked for\n");
    Exit(kExitFailure);
  }
  if (asked("load-noise", "run-noise")) {
    console::Send("this is no frame, whatever you think of its length", 50);
    return true;
  }
  if (asked("load-id", "run-id")) {
    SendText(kResult, header.id + 1, "{}");
    return true;
  }
  if (asked("load-type", "run-type")) {
    SendText(kDone, header.id, "{}");
    return true;
  }
  if (asked("load-list", "run-list")) {
    SendText(loading ? kError : kResult, header.id, "[1, 2]");
    return true;
  }
  if (asked("load-length", "run-length")) {
    SendHeader(loading ? kLoaded : kResult, header.id, 0xffffffff);
    return true;
  }
  if (asked("load-short", "run-short")) {
    // Promises much and sends little; what follows is taken for the rest.
    SendHeader(loading ? kLoaded : kResult, header.id, 8 << 20);
    return true;
  }
  if (asked("load-logs", "run-logs"))
    for (;;)
      SendText(kLog, 0, "again");
  if (asked("load-stream", "run-stream"))
    for (;;)
      SendFrame(kStdout, header.id, text, kPageSize);
  if (asked("load-strays", "run-strays"))
    for (;;)
      SendFrame(kStderr, header.id + 1, text, 0);
  if (asked("load-ended", "run-ended")) {
    SendText(kEnded, 0, "{\"kind\":\"exit\",\"message\":\"gone\"}");
    return true;
  }
  return false;
}

void Load(const Header& header) {
  if (Misbehave(header, true))
    return;
  ++loads;
  for (uint32 page = 0; page < kDirtyPages; ++page)
    touched[page * kPageSize] = static_cast<uint8>(loads);
  SendText(kStdout, header.id, "loading\n");
  SendText(kLoaded, header.id, "{}");
}

void Invoke(const Header& header) {
  ++calls;
  if (Misbehave(header, false))
    return;
  SendText(kLog, 0, "running");
  SendText(kStdout, header.id + 1000, "not of this request");
  SendText(kStdout, header.id, "out\n");
  SendText(kStderr, header.id, "err\n");
  if (Holds(header, "run-flood")) {
    for (uint32 at = 0; at < kPageSize; ++at)
      text[at] = 'x';
    for (uint32 turn = 0; turn < 600; ++turn)
      SendFrame(kStdout, header.id, text, kPageSize);
  }
  text_length = 0;
  Append("{\"loads\":");
  AppendNumber(loads);
  Append(",\"calls\":");
  AppendNumber(calls);
  Append(",\"seed\":\"");
  AppendSeed();
  Append("\"}");
  SendFrame(kResult, header.id, text, text_length);
}

void Answer(const Header& header) {
  switch (header.type) {
  case kSync:
    for (uint32 at = 0; at < sizeof(seed); ++at)
      seed[at] = frame[kHeaderSize + 16 + at];
    return;
  case kLoad:
    return Load(header);
  case kInvoke:
    return Invoke(header);
  case kOptimise:
  case kUnload:
    return SendText(kDone, header.id, "{}");
  case kStatus:
    return SendText(kStatusAnswer, header.id, "{\"free_pages\":1}");
  case kShutdown:
    Exit(kExitSuccess);
  default:
    Print("unknown frame\n");
    Exit(kExitFailure);
  }
}

}  // namespace

extern "C" [[noreturn]] void Main() {
  console::SetUp();
  SendText(kReady, 0,
           "{\"kernel\":\"test\",\"runtime\":\"python\",\"version\":\"0\"}");
  uint32 held = 0;
  for (;;) {
    uint32 length = console::Receive();
    for (uint32 at = 0; at < length; ++at) {
      frame[held++] = console::Received()[at];
      const auto& header = *reinterpret_cast<const Header*>(frame);
      if (held < kHeaderSize || held < kHeaderSize + header.length)
        continue;
      held = 0;
      Answer(header);
    }
  }
}
