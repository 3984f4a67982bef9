#include <cstdio>

#include "lib/smtp/replies_document.h"

// Prints docs/protocols/smtp-replies.md.
int main() { std::fputs(posthorn::smtp::RepliesDocument().c_str(), stdout); }
