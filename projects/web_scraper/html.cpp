#include "web_scraper/html.hpp"

#include "web_scraper/text.hpp"

#include <libxml/HTMLparser.h>
#include <libxml/encoding.h>
#include <libxml/parser.h>
#include <libxml/tree.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include <time.h>

namespace web_scraper {

namespace {

struct free_parser {
    void operator()(htmlParserCtxt* parser) const { htmlFreeParserCtxt(parser); }
};

struct free_decoder {
    void operator()(xmlCharEncodingHandler* decoder) const { xmlCharEncCloseFunc(decoder); }
};

struct free_buffer {
    void operator()(xmlBuffer* buffer) const { xmlBufferFree(buffer); }
};

// What the parser has found so far.
struct findings {
    std::optional<std::string> base;
    std::vector<std::string> references;
    bool all = true;
    int depth = 0;  // elements that are open
};

std::string_view as_text(const xmlChar* text)
{
    return reinterpret_cast<const char*>(text);
}

// The rest of the page is not looked at. What was found counts.
void stop(htmlParserCtxt& parser, findings& found)
{
    found.all = false;
    xmlStopParser(&parser);
}

// The parser's callback for each element that begins, with the parser as its context. Names are in
// lower case by then, and what was escaped in a value is plain. The attributes are name, value,
// name, value, null; a value can be null, too.
void tag_begins(void* context, const xmlChar* name, const xmlChar** attributes)
{
    auto& parser = *static_cast<htmlParserCtxt*>(context);
    auto& found = *static_cast<findings*>(parser._private);
    if (++found.depth > deepest_element) {
        stop(parser, found);
        return;
    }
    const bool is_link = as_text(name) == "a";
    const bool is_base = as_text(name) == "base" && !found.base;  // the first one counts
    if (attributes == nullptr || (!is_link && !is_base)) {
        return;
    }
    for (; attributes[0] != nullptr; attributes += 2) {
        if (attributes[1] != nullptr && as_text(attributes[0]) == "href") {
            std::string value(as_text(attributes[1]));
            if (is_base) {
                found.base = std::move(value);
            } else if (found.references.size() < most_links) {
                found.references.push_back(std::move(value));
            } else {
                stop(parser, found);
            }
        }
    }
}

// And for each that ends. The parser calls it as well where an end tag is missing, or is never
// written, as with `<br>`; so depth is what is open.
void tag_ends(void* context, const xmlChar*)
{
    --static_cast<findings*>(static_cast<htmlParserCtxt*>(context)->_private)->depth;
}

// `text/html; charset="utf-8"`: the part behind `charset=`, or "".
std::string charset_in(std::string_view content_type)
{
    const auto lower = lower_case(content_type);
    const auto at = lower.find("charset=");
    if (at == std::string::npos) {
        return {};
    }
    const auto value = std::string_view(lower).substr(at + 8);
    const auto first = value.find_first_not_of("\"' ");
    return first == std::string_view::npos
               ? std::string()
               : std::string(value.substr(first, value.find_first_of("\"'; ", first) - first));
}

// Whether a `<` is the one byte that it is in ASCII. In UTF-16 that is half a character, from which
// nothing comes out.
bool knows_ascii(xmlCharEncodingHandler& decoder)
{
    const std::unique_ptr<xmlBuffer, free_buffer> bytes(xmlBufferCreate());
    const std::unique_ptr<xmlBuffer, free_buffer> decoded(xmlBufferCreate());
    if (!bytes || !decoded || xmlBufferCCat(bytes.get(), "<") != 0) {
        throw std::bad_alloc();
    }
    xmlCharEncInFunc(&decoder, decoded.get(), bytes.get());
    return as_text(xmlBufferContent(decoded.get())) == "<";
}

// Whether a NUL byte in the page is a character, and not part of one as in UTF-16. The parser goes
// by the header where it knows the charset in there, and else by the first bytes; so does this.
bool has_characters_of_bytes(std::string_view page, const std::string& charset)
{
    const std::unique_ptr<xmlCharEncodingHandler, free_decoder> decoder(
        charset.empty() ? nullptr : xmlFindCharEncodingHandler(charset.c_str()));
    if (decoder) {
        return knows_ascii(*decoder);
    }
    const auto first = page.substr(0, 4);
    const auto seems = xmlDetectCharEncoding(
        reinterpret_cast<const unsigned char*>(first.data()), static_cast<int>(first.size()));
    return seems == XML_CHAR_ENCODING_NONE || seems == XML_CHAR_ENCODING_UTF8;
}

// To libxml2 a NUL is the end of the page, before version 2.14. The HTML standard goes on: in a
// value it is U+FFFD, in a text nothing. The escape for U+FFFD is the same bytes in every charset
// that has ASCII, and text is not looked at here.
std::string with_nul_escaped(std::string_view page)
{
    std::string escaped;
    for (const char c : page) {
        if (c == '\0') {
            escaped += "&#xFFFD;";
        } else {
            escaped += c;
        }
    }
    return escaped;
}

// How long this thread has kept a processor busy. A machine that is busy otherwise does not count.
std::chrono::nanoseconds processor_time()
{
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

// A page that is handed out in pieces, until it is used up or time is.
class pieces {
public:
    pieces(std::string_view page, findings& found) : rest_(page), found_(found) {}

    // The parser's callback for more of the page, with this as its context. None is the end.
    static int next(void* context, char* buffer, int size) noexcept
    {
        auto& self = *static_cast<pieces*>(context);
        if (!self.rest_.empty() && processor_time() > self.end_) {
            self.found_.all = false;
            self.rest_ = {};
        }
        const auto piece = self.rest_.substr(0, std::min(static_cast<std::size_t>(size), longest));
        std::copy(piece.begin(), piece.end(), buffer);
        self.rest_.remove_prefix(piece.size());
        return static_cast<int>(piece.size());
    }

private:
    static constexpr std::size_t longest = 4096;

    std::string_view rest_;
    findings& found_;
    const std::chrono::nanoseconds end_ = processor_time() + longest_parsing;
};

findings parse(std::string_view page, const std::string& charset)
{
    findings found;
    if (page.empty()) {
        return found;
    }
    const std::unique_ptr<htmlParserCtxt, free_parser> parser(htmlNewParserCtxt());
    if (!parser) {
        throw std::bad_alloc();
    }
    // The callbacks of a parser are in a table of its own. With these alone in it, no tree is
    // built, and nobody is told what is wrong with the page.
    htmlSAXHandler only_tags{};
    only_tags.startElement = tag_begins;
    only_tags.endElement = tag_ends;
    *parser->sax = only_tags;
    parser->_private = &found;  // the parser's word for: whatever its user likes
    const auto* const given_charset = charset.empty() ? nullptr : charset.c_str();
    pieces source(page, found);
    htmlCtxtReadIO(
        parser.get(), pieces::next, nullptr, &source, nullptr, given_charset,
        HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET);
    return found;
}

}  // namespace

bool is_html(std::string_view content_type)
{
    const auto type = lower_case(trimmed(content_type.substr(0, content_type.find(';'))));
    return type == "text/html" || type == "application/xhtml+xml";
}

page_links links_in(std::string_view page, const url& address, std::string_view content_type)
{
    const auto charset = charset_in(content_type);
    std::string escaped;
    if (page.find('\0') != page.npos && has_characters_of_bytes(page, charset)) {
        escaped = with_nul_escaped(page);
        page = escaped;
    }
    const auto found = parse(page, charset);
    const auto base = found.base ? address.resolve(*found.base) : std::nullopt;
    page_links result;
    result.all = found.all;
    std::set<url> seen;
    for (const auto& reference : found.references) {
        auto link = base.value_or(address).resolve(reference);
        if (link && seen.insert(*link).second) {
            result.links.push_back(std::move(*link));
        }
    }
    return result;
}

}  // namespace web_scraper
