#include "files/Pipe.h"

#include <gtest/gtest.h>

#include "Bytes.h"

namespace {

namespace abi = ebbrt::abi;
using ebbrt::Errno;

class PipeTest : public testing::Test {
 protected:
  ebbrt::Pipe pipe_ = ebbrt::MakePipe(0);
};

TEST_F(PipeTest, CarriesBytesInOrder) {
  EXPECT_EQ(ReadText(*pipe_.reader, 10), "error 11");
  EXPECT_EQ(*pipe_.writer->Write(Bytes("abc")), 3u);
  EXPECT_EQ(*pipe_.writer->Write(Bytes("def")), 3u);
  EXPECT_EQ(*pipe_.reader->Available(), 6u);
  EXPECT_EQ(ReadText(*pipe_.reader, 4), "abcd");
  EXPECT_EQ(ReadText(*pipe_.reader, 4), "ef");
  EXPECT_EQ(ReadText(*pipe_.reader, 4), "error 11");
}

TEST_F(PipeTest, EndsHaveOneDirection) {
  EXPECT_EQ(ReadText(*pipe_.writer, 1), "error 9");
  EXPECT_EQ(pipe_.reader->Write(Bytes("x")).error(), Errno::kBadDescriptor);
  EXPECT_EQ(pipe_.reader->Seek(0, abi::kSeekSet).error(), Errno::kIllegalSeek);
  std::byte bytes[1];
  EXPECT_EQ(pipe_.reader->PRead(bytes, 0).error(), Errno::kIllegalSeek);
  EXPECT_EQ(pipe_.writer->Truncate(0).error(), Errno::kInvalid);
}

TEST_F(PipeTest, ReaderSeesTheEndAfterTheData) {
  ASSERT_TRUE(pipe_.writer->Write(Bytes("last")).ok());
  pipe_.writer = nullptr;
  EXPECT_EQ(pipe_.reader->Ready(),
            abi::kPollIn | abi::kPollReadNormal | abi::kPollHangUp);
  EXPECT_EQ(ReadText(*pipe_.reader, 10), "last");
  EXPECT_EQ(ReadText(*pipe_.reader, 10), "");
  EXPECT_EQ(pipe_.reader->Ready(), abi::kPollHangUp);
}

TEST_F(PipeTest, WriterSeesThatNobodyReads) {
  pipe_.reader = nullptr;
  EXPECT_EQ(pipe_.writer->Write(Bytes("x")).error(), Errno::kBrokenPipe);
  EXPECT_EQ(*pipe_.writer->Write({}), 0u);
  EXPECT_NE(pipe_.writer->Ready() & abi::kPollError, 0u);
}

TEST_F(PipeTest, SmallWritesAreWholeAndLargeOnesArePartial) {
  const std::string capacity(64 << 10, 'x');
  ASSERT_EQ(*pipe_.writer->Write(Bytes(capacity)), capacity.size());
  EXPECT_EQ(pipe_.writer->Ready(), 0u);
  EXPECT_EQ(pipe_.writer->Write(Bytes("y")).error(), Errno::kAgain);
  EXPECT_EQ(ReadText(*pipe_.reader, 4095).size(), 4095u);
  EXPECT_EQ(pipe_.writer->Write(Bytes(std::string(4096, 'y'))).error(),
            Errno::kAgain);
  EXPECT_EQ(pipe_.writer->Ready(), 0u);
  EXPECT_EQ(*pipe_.writer->Write(Bytes(std::string(4097, 'y'))), 4095u);
  EXPECT_EQ(ReadText(*pipe_.reader, 4096).size(), 4096u);
  EXPECT_EQ(pipe_.writer->Ready(), abi::kPollOut | abi::kPollWriteNormal);
  EXPECT_EQ(*pipe_.writer->Write(Bytes(std::string(4096, 'z'))), 4096u);
}

TEST_F(PipeTest, IsAFifoToStat) {
  abi::Stat stat;
  ASSERT_TRUE(pipe_.reader->GetStat(stat).ok());
  EXPECT_EQ(stat.mode & abi::kModeTypeMask, abi::kModeFifo);
}

}  // namespace
