#include "personality/Calls.h"
#include "personality/SystemCall.h"

namespace {

using namespace ebbrt;

// Calls that make or become processes: a UC is one program.
Answer NoProcesses(SystemCall&) {
  return Errno::kNoSystemCall;
}

// Programs ask for these and do well without.
Answer NotOffered(SystemCall&) {
  return Errno::kNoSystemCall;
}

struct Entry {
  uint16_t number;
  personality::Handler handler;
  // Makes the kernel keep something for the UC; refused when memory is scarce.
  bool allocates = false;
};

constexpr Entry kEntries[] = {
    {0, personality::Read, true},
    {1, personality::Write, true},
    {2, personality::Open, true},
    {3, personality::Close},
    {4, personality::Stat},
    {5, personality::DescriptorStat},
    {6, personality::LinkStat},
    {7, personality::Poll, true},
    {8, personality::Seek},
    {9, personality::MemoryMap, true},
    {10, personality::MemoryProtect, true},
    {11, personality::MemoryUnmap, true},
    {12, personality::Break, true},
    {13, personality::SignalAction, true},
    {14, personality::SignalMask},
    {16, personality::DeviceControl},
    {17, personality::PRead},
    {18, personality::PWrite, true},
    {19, personality::ReadVector},
    {20, personality::WriteVector, true},
    {21, personality::Access},
    {22, personality::Pipe, true},
    {23, personality::Select, true},
    {24, personality::YieldCore},
    {25, personality::MemoryRemap, true},
    {28, personality::MemoryAdvise},
    {32, personality::Duplicate, true},
    {33, personality::Duplicate2, true},
    {35, personality::Sleep},
    {39, personality::ProcessId},
    {41, personality::Socket, true},
    {42, personality::Connect, true},
    {43, personality::Accept, true},
    {44, personality::SendTo, true},
    {45, personality::ReceiveFrom, true},
    {46, personality::SendMessage, true},
    {47, personality::ReceiveMessage, true},
    {48, personality::Shutdown},
    {49, personality::Bind},
    {50, personality::Listen},
    {51, personality::SocketName},
    {52, personality::PeerName},
    {53, personality::SocketPair, true},
    {54, personality::SetSocketOption},
    {55, personality::GetSocketOption},
    {56, personality::Clone, true},
    {57, NoProcesses},  // fork
    {58, NoProcesses},  // vfork
    {59, NoProcesses},  // execve
    {60, personality::ExitThread},
    {61, personality::WaitForChild},
    {62, personality::Kill},
    {63, personality::SystemName},
    {72, personality::Control, true},
    {73, personality::Synchronise},  // flock: nobody to lock out
    {74, personality::Synchronise},
    {75, personality::Synchronise},
    {76, personality::Truncate, true},
    {77, personality::TruncateDescriptor, true},
    {79, personality::CurrentDirectory},
    {80, personality::ChangeDirectory},
    {81, personality::ChangeDirectoryTo},
    {82, personality::Rename, true},
    {83, personality::MakeDirectory, true},
    {84, personality::RemoveDirectory},
    {87, personality::Unlink},
    {89, personality::ReadLink},
    {90, personality::ChangeMode},
    {91, personality::ChangeModeOf},
    {95, personality::FileModeMask},
    {96, personality::TimeOfDay},
    {97, personality::ResourceLimit},
    {98, personality::ResourceUsage},
    {99, personality::SystemInfo},
    {100, personality::Times},
    {102, personality::UserId},
    {104, personality::UserId},
    {107, personality::UserId},
    {108, personality::UserId},
    {110, personality::ParentId},
    {131, personality::AlternateStack},
    {157, personality::ProcessControl},
    {158, personality::ArchitectureControl},
    {186, personality::ThreadId},
    {200, personality::ThreadKill},
    {201, personality::Seconds},
    {202, personality::Futex},
    {203, personality::SetAffinity},
    {204, personality::Affinity},
    {213, personality::EpollCreate, true},
    {217, personality::ReadDirectory},
    {218, personality::SetClearThreadId},
    {228, personality::ClockTime},
    {229, personality::ClockResolution},
    {230, personality::ClockSleep},
    {231, personality::ExitGroup},
    {232, personality::EpollWait, true},
    {233, personality::EpollControl, true},
    {234, personality::ThreadKill},
    {257, personality::OpenAt, true},
    {258, personality::MakeDirectoryAt, true},
    {262, personality::StatAt},
    {263, personality::UnlinkAt},
    {264, personality::RenameAt, true},
    {267, personality::ReadLinkAt},
    {268, personality::ChangeModeAt},
    {269, personality::AccessAt},
    {270, personality::SelectPrecise, true},
    {271, personality::PollPrecise, true},
    {273, personality::SetRobustList},
    {280, personality::ChangeTimesAt},
    {281, personality::EpollWait, true},
    {284, personality::EventFd, true},
    {285, personality::Allocate, true},
    {288, personality::Accept4, true},
    {290, personality::EventFd2, true},
    {291, personality::EpollCreate1, true},
    {292, personality::Duplicate3, true},
    {293, personality::Pipe2, true},
    {302, personality::ResourceLimit2},
    {307, personality::SendMultiple, true},
    {309, personality::CurrentCore},
    {316, personality::RenameAt2, true},
    {318, personality::RandomBytes},
    {332, NotOffered},  // statx
    {334, NotOffered},  // rseq
    {435, NotOffered},  // clone3: libraries fall back to clone
    {436, personality::CloseRange},
    {439, personality::AccessAt},
    {500, personality::CaptureSelf, true},  // ours
};

struct Table {
  personality::Kind kinds[personality::kNumbers] = {};
  constexpr Table() {
    for (const auto& entry : kEntries)
      kinds[entry.number] = {entry.handler, entry.allocates};
  }
};

constexpr Table kTable;

}  // namespace

ebbrt::personality::Kind ebbrt::personality::Find(uint64_t number) {
  return kTable.kinds[number];
}
