#include "HttpAnswer.h"

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace {

using Answer = std::unique_ptr<HttpAnswer, decltype(&FreeHttpAnswer)>;

constexpr std::string_view kGood = "HTTP/1.1 103 Early\r\nLink: a\r\n\r\n"
                                   "HTTP/1.1 200 All good\r\n"
                                   "One:  first\r\nTwo:\r\n"
                                   "Transfer-Encoding: chunked\r\n\r\n"
                                   "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nLate: "
                                   "b\r\n\r\nnot looked at";

AnswerState Feed(HttpAnswer* answer, std::string_view bytes) {
  return FeedHttpAnswer(answer, reinterpret_cast<const uint8_t*>(bytes.data()),
                        bytes.size());
}

std::string Body(HttpAnswer* answer) {
  size_t length;
  auto* bytes = TakeHttpAnswerBody(answer, &length);
  std::string body(reinterpret_cast<char*>(bytes), length);
  std::free(bytes);
  return body;
}

// Cut anywhere, an answer is the same.
TEST(HttpAnswer, ComesInPiecesOfAnySize) {
  for (size_t size = 1; size <= kGood.size(); ++size) {
    Answer answer(NewHttpAnswer(false), &FreeHttpAnswer);
    auto state = kAnswerBegun;
    for (size_t at = 0; at < kGood.size(); at += size) {
      state = Feed(answer.get(), kGood.substr(at, size));
      if (state != kAnswerHasHead)
        continue;
      EXPECT_EQ(HttpAnswerStatus(answer.get()), 200);
      EXPECT_STREQ(HttpAnswerReason(answer.get()), "All good");
      ASSERT_EQ(HttpAnswerFields(answer.get()), 3);
      EXPECT_STREQ(HttpAnswerName(answer.get(), 0), "One");
      EXPECT_STREQ(HttpAnswerValue(answer.get(), 0), "first");
      EXPECT_STREQ(HttpAnswerValue(answer.get(), 1), "");
    }
    EXPECT_EQ(state, kAnswerComplete) << size;
    // Not what came behind the body.
    EXPECT_EQ(HttpAnswerFields(answer.get()), 3);
    EXPECT_EQ(Body(answer.get()), "abcde");
    EXPECT_EQ(Feed(answer.get(), "HTTP/1.1 500 No\r\n\r\n"), kAnswerComplete);
  }
}

TEST(HttpAnswer, EndsWithTheStreamIfNothingElseSays) {
  Answer answer(NewHttpAnswer(false), &FreeHttpAnswer);
  EXPECT_EQ(Feed(answer.get(), "HTTP/1.0 404\r\n\r\nall"), kAnswerHasHead);
  EXPECT_STREQ(HttpAnswerReason(answer.get()), "");
  EXPECT_EQ(Feed(answer.get(), ""), kAnswerComplete);
  EXPECT_EQ(Body(answer.get()), "all");
}

TEST(HttpAnswer, OfHeadHasNoBody) {
  Answer answer(NewHttpAnswer(true), &FreeHttpAnswer);
  EXPECT_EQ(Feed(answer.get(), "HTTP/1.1 200 OK\r\nContent-Length: "
                               "99999999999\r\n\r\n"),
            kAnswerComplete);
  EXPECT_EQ(Body(answer.get()), "");
}

TEST(HttpAnswer, OfStatusesWithoutBodyHasNone) {
  for (std::string_view status : {"204 None", "304 Same"}) {
    Answer answer(NewHttpAnswer(false), &FreeHttpAnswer);
    std::string text("HTTP/1.1 ");
    text.append(status).append("\r\nContent-Length: 99999999999\r\n\r\n");
    EXPECT_EQ(Feed(answer.get(), text), kAnswerComplete) << status;
  }
  // What is before the final answer has none either.
  Answer answer(NewHttpAnswer(false), &FreeHttpAnswer);
  EXPECT_EQ(Feed(answer.get(), "HTTP/1.1 104 On\r\nContent-Length: 3\r\n\r\n"
                               "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
                               "ab"),
            kAnswerComplete);
  EXPECT_EQ(HttpAnswerStatus(answer.get()), 200);
  EXPECT_EQ(Body(answer.get()), "ab");
}

TEST(HttpAnswer, StaysBroken) {
  Answer answer(NewHttpAnswer(false), &FreeHttpAnswer);
  EXPECT_EQ(
      Feed(answer.get(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"),
      kAnswerHasHead);
  EXPECT_EQ(Feed(answer.get(), ""), kAnswerBroken);
  EXPECT_EQ(Feed(answer.get(), "cde"), kAnswerBroken);
  EXPECT_STREQ(HttpAnswerFault(answer.get()),
               "the server ended the connection before the answer's end");
}

TEST(HttpAnswer, HasNoMoreThanTheLimits) {
  auto fault = [](const std::string& text) {
    Answer answer(NewHttpAnswer(false), &FreeHttpAnswer);
    EXPECT_EQ(Feed(answer.get(), text), kAnswerBroken);
    return std::string(HttpAnswerFault(answer.get()));
  };
  std::string start = "HTTP/1.1 200 OK\r\n";
  EXPECT_EQ(fault(start + "a: " + std::string(70000, 'x')),
            "its head has more than 64 KiB");
  EXPECT_EQ(fault("HTTP/1.1 200 " + std::string(70000, 'x')),
            "its head has more than 64 KiB");
  std::string many = start;
  for (int i = 0; i < 300; ++i)
    many += "a: b\r\n";
  EXPECT_EQ(fault(many), "its head has more than 255 fields");
  EXPECT_EQ(fault(start + "Content-Length: 67108865\r\n\r\n"),
            "its body has more than 64 MiB");
  std::string interim;
  for (int i = 0; i < 70000; ++i)
    interim += "HTTP/1.1 100\r\n\r\n";
  EXPECT_EQ(fault(interim), "its head has more than 64 KiB");
}

}  // namespace
