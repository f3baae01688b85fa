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
};

constexpr Entry kEntries[] = {
    {0, personality::Read},
    {1, personality::Write},
    {2, personality::Open},
    {3, personality::Close},
    {4, personality::Stat},
    {5, personality::DescriptorStat},
    {6, personality::LinkStat},
    {7, personality::Poll},
    {8, personality::Seek},
    {9, personality::MemoryMap},
    {10, personality::MemoryProtect},
    {11, personality::MemoryUnmap},
    {12, personality::Break},
    {13, personality::SignalAction},
    {14, personality::SignalMask},
    {16, personality::DeviceControl},
    {17, personality::PRead},
    {18, personality::PWrite},
    {19, personality::ReadVector},
    {20, personality::WriteVector},
    {21, personality::Access},
    {22, personality::Pipe},
    {23, personality::Select},
    {24, personality::YieldCore},
    {25, personality::MemoryRemap},
    {28, personality::MemoryAdvise},
    {32, personality::Duplicate},
    {33, personality::Duplicate2},
    {35, personality::Sleep},
    {39, personality::ProcessId},
    {41, personality::Socket},
    {44, personality::SendTo},
    {45, personality::ReceiveFrom},
    {48, personality::Shutdown},
    {51, personality::SocketName},
    {52, personality::SocketName},
    {53, personality::SocketPair},
    {54, personality::SetSocketOption},
    {55, personality::GetSocketOption},
    {56, personality::Clone},
    {57, NoProcesses},  // fork
    {58, NoProcesses},  // vfork
    {59, NoProcesses},  // execve
    {60, personality::ExitThread},
    {61, personality::WaitForChild},
    {62, personality::Kill},
    {63, personality::SystemName},
    {72, personality::Control},
    {73, personality::Synchronise},  // flock: nobody to lock out
    {74, personality::Synchronise},
    {75, personality::Synchronise},
    {76, personality::Truncate},
    {77, personality::TruncateDescriptor},
    {79, personality::CurrentDirectory},
    {80, personality::ChangeDirectory},
    {81, personality::ChangeDirectoryTo},
    {82, personality::Rename},
    {83, personality::MakeDirectory},
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
    {213, personality::EpollCreate},
    {217, personality::ReadDirectory},
    {218, personality::SetClearThreadId},
    {228, personality::ClockTime},
    {229, personality::ClockResolution},
    {230, personality::ClockSleep},
    {231, personality::ExitGroup},
    {232, personality::EpollWait},
    {233, personality::EpollControl},
    {234, personality::ThreadKill},
    {257, personality::OpenAt},
    {258, personality::MakeDirectoryAt},
    {262, personality::StatAt},
    {263, personality::UnlinkAt},
    {264, personality::RenameAt},
    {267, personality::ReadLinkAt},
    {268, personality::ChangeModeAt},
    {269, personality::AccessAt},
    {270, personality::SelectPrecise},
    {271, personality::PollPrecise},
    {273, personality::SetRobustList},
    {280, personality::ChangeTimesAt},
    {281, personality::EpollWait},
    {284, personality::EventFd},
    {285, personality::Allocate},
    {290, personality::EventFd2},
    {291, personality::EpollCreate1},
    {292, personality::Duplicate3},
    {293, personality::Pipe2},
    {302, personality::ResourceLimit2},
    {309, personality::CurrentCore},
    {316, personality::RenameAt2},
    {318, personality::RandomBytes},
    {332, NotOffered},  // statx
    {334, NotOffered},  // rseq
    {435, NotOffered},  // clone3: libraries fall back to clone
    {436, personality::CloseRange},
    {439, personality::AccessAt},
};

struct Table {
  personality::Handler handlers[personality::kNumbers] = {};
  constexpr Table() {
    for (const auto& entry : kEntries)
      handlers[entry.number] = entry.handler;
  }
};

constexpr Table kTable;

}  // namespace

ebbrt::personality::Handler ebbrt::personality::Find(uint64_t number) {
  return number < kNumbers ? kTable.handlers[number] : nullptr;
}
