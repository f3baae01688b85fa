// A function's zip: unpacked into a folder under /tmp.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "Failure.h"

// Unpacks base64 text into a fresh folder and puts its path into `folder`
// (PATH_MAX bytes). False with the failure; nothing is left behind then.
bool UnpackZip(const char* name, const char* code, size_t length, char* folder,
               Failure* failure);

void RemoveTree(const char* folder);

// The whole file with a zero byte behind it; NULL where it cannot be read.
char* ReadFile(const char* path, size_t* length);
