// Serves one function: one request after the other on the channel.
#pragma once

// Returns the exit status when the stream ends.
int Serve(int descriptor);
