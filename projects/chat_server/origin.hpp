// Who may open a WebSocket to this server from a browser.
//
// A browser lets any page open a WebSocket to any server, also to one on the reader's own machine;
// the rules that keep pages from reading each other's answers do not hold there. What the browser
// does is to say, in the header Origin, which site the page is from, and a page cannot change that.
// So the server looks: it takes its own pages, and those of origins that it is told to trust.
//
// Its own means that the origin is the host which the request is for. That host is what the browser
// was told, so it proves nothing by itself: a page of evil.example can have that name lead to
// 127.0.0.1 (DNS rebinding), and then host and origin agree. So the host must be one that this
// server goes by.
//
// Other programs than browsers send no origin, or any that they like. They are not what this is
// about: nobody is lured into running them.

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace chat {

// Whether it is one as browsers write it: http or https, a host, perhaps a port, and nothing more.
bool is_origin(std::string_view text);

// Whether a request's Host, with or without a port, is this server: a loopback name, or the host of
// one of the origins.
bool is_own_host(std::string_view host, const std::vector<std::string>& origins);

// Whether a page of `origin` may talk to this server, which was asked for as `host`.
bool is_allowed_origin(
    std::string_view origin, std::string_view host, const std::vector<std::string>& origins);

}  // namespace chat
