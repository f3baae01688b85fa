// What the library's JavaScript parts ask of C; functions never see it.
#pragma once

#include "quickjs.h"

// Adds write, encodeUtf8, decodeUtf8, fillRandom, random, clone and parseUrl
// and its companions to the object. -1 with an exception.
int AddNatives(JSContext* context, JSValueConst native);

// The part that stands on ada, the URL parser.
int AddUrlNatives(JSContext* context, JSValueConst native);

// The part that fetch stands on.
int AddNetworkNatives(JSContext* context, JSValueConst native);
