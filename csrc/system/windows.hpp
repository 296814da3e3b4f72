// The interface of Windows, without the names that it would take from us.
#pragma once

#if defined(_WIN32)
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>

#include <string>

namespace vhash {

std::wstring wide(const std::string& path);  // of UTF-8; throws std::invalid_argument where it is not

}  // namespace vhash
#endif
