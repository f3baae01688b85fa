#include "Zip.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <minizip/unzip.h>
#include <resolv.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  kMaxUnpacked = 64 << 20,
  kMaxName = 255,
  kPiece = 64 << 10,
  kTreeDescriptors = 16,
};

static int unpacked;

static int RemoveEntry(const char* path, const struct stat* status, int kind,
                       struct FTW* place) {
  (void)status;
  (void)kind;
  (void)place;
  return remove(path);
}

void RemoveTree(const char* folder) {
  nftw(folder, RemoveEntry, kTreeDescriptors, FTW_DEPTH | FTW_PHYS);
}

char* ReadFile(const char* path, size_t* length) {
  FILE* file = fopen(path, "rb");
  if (!file)
    return NULL;
  char* text = NULL;
  size_t done = 0;
  size_t space = 0;
  for (;;) {
    if (space - done < kPiece) {
      space = space ? 2 * space : 2 * kPiece;
      char* larger = realloc(text, space + 1);
      if (!larger)
        break;
      text = larger;
    }
    size_t got = fread(text + done, 1, space - done, file);
    done += got;
    if (got > 0)
      continue;
    if (ferror(file))
      break;
    fclose(file);
    text[done] = 0;
    *length = done;
    return text;
  }
  fclose(file);
  free(text);
  return NULL;
}

static bool WriteFile(const char* path, const uint8_t* data, size_t length) {
  FILE* file = fopen(path, "wb");
  if (!file)
    return false;
  bool whole = fwrite(data, 1, length, file) == length;
  return fclose(file) == 0 && whole;
}

// A name stays inside the folder: relative, and without "..".
static bool IsHarmless(const char* name) {
  if (name[0] == '/' || name[0] == 0 || strchr(name, '\\'))
    return false;
  for (const char* part = name; part; part = strchr(part, '/')) {
    part += *part == '/';
    if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == 0))
      return false;
  }
  return true;
}

static bool MakeFolders(char* path, size_t from) {
  for (char* at = path + from; (at = strchr(at, '/')) != NULL; ++at) {
    *at = 0;
    int made = mkdir(path, 0700);
    *at = '/';
    if (made < 0 && errno != EEXIST)
      return false;
  }
  return true;
}

static bool CopyOut(unzFile zip, const char* path, uint64_t* left) {
  static char piece[kPiece];
  FILE* file = fopen(path, "wb");
  if (!file)
    return false;
  int got;
  bool whole = unzOpenCurrentFile(zip) == UNZ_OK;
  while (whole && (got = unzReadCurrentFile(zip, piece, kPiece)) != 0) {
    whole = got > 0 && (uint64_t)got <= *left &&
            fwrite(piece, 1, (size_t)got, file) == (size_t)got;
    *left -= whole ? (uint64_t)got : 0;
  }
  // Closing checks the sum of the whole file.
  whole = unzCloseCurrentFile(zip) == UNZ_OK && whole;
  return fclose(file) == 0 && whole;
}

// Unpacks the file that the zip stands at.
static bool UnpackOne(unzFile zip, const char* name, const char* folder,
                      uint64_t* left, Failure* failure) {
  char inside[kMaxName + 1];
  unz_file_info64 info;
  if (unzGetCurrentFileInfo64(zip, &info, inside, sizeof(inside), NULL, 0, NULL,
                              0) != UNZ_OK ||
      info.size_filename > kMaxName) {
    *failure = MakeFailure("bad-request", "%s is not a good zip", name);
    return false;
  }
  if (!IsHarmless(inside)) {
    *failure = MakeFailure("bad-request",
                           "%s is not a good zip: the name %s leads outside",
                           name, inside);
    return false;
  }
  if (info.uncompressed_size > *left) {
    *failure =
        MakeFailure("bad-request", "%s: the zip unpacks to more than %d bytes",
                    name, kMaxUnpacked);
    return false;
  }
  char path[PATH_MAX];
  int length = snprintf(path, sizeof(path), "%s/%s", folder, inside);
  if (length >= (int)sizeof(path) || !MakeFolders(path, strlen(folder) + 1)) {
    *failure = MakeFailure("import-error", "%s could not be unpacked: %s", name,
                           strerror(errno));
    return false;
  }
  if (path[length - 1] == '/')
    return true;
  errno = 0;
  if (CopyOut(zip, path, left))
    return true;
  *failure =
      errno ? MakeFailure("import-error", "%s could not be unpacked: %s", name,
                          strerror(errno))
            : MakeFailure("bad-request", "%s is not a good zip: %s is damaged",
                          name, inside);
  return false;
}

static bool UnpackAll(const char* name, const char* archive, const char* folder,
                      Failure* failure) {
  unzFile zip = unzOpen64(archive);
  if (!zip) {
    *failure = MakeFailure("bad-request", "%s is not a good zip", name);
    return false;
  }
  uint64_t left = kMaxUnpacked;
  int at = unzGoToFirstFile(zip);
  bool good = true;
  while (good && at == UNZ_OK) {
    good = UnpackOne(zip, name, folder, &left, failure);
    at = unzGoToNextFile(zip);
  }
  unzClose(zip);
  return good;
}

bool UnpackZip(const char* name, const char* code, size_t length, char* folder,
               Failure* failure) {
  size_t space = length / 4 * 3 + 4;
  uint8_t* data = malloc(space);
  int size = data ? b64_pton(code, data, space) : -1;
  if (size < 0) {
    free(data);
    *failure =
        MakeFailure("bad-request", "%s is not a good zip: no base64", name);
    return false;
  }
  snprintf(folder, PATH_MAX, "/tmp/seuss-function-%d-%d", getpid(), ++unpacked);
  char archive[PATH_MAX];
  snprintf(archive, sizeof(archive), "/tmp/seuss-function-%d-%d.zip", getpid(),
           unpacked);
  bool good =
      WriteFile(archive, data, (size_t)size) && mkdir(folder, 0700) == 0;
  if (!good)
    *failure = MakeFailure("import-error", "%s could not be unpacked: %s", name,
                           strerror(errno));
  free(data);
  good = good && UnpackAll(name, archive, folder, failure);
  unlink(archive);
  if (!good) {
    RemoveTree(folder);
    folder[0] = 0;
  }
  return good;
}
