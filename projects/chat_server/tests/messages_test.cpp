#include "chat_server/messages.hpp"

#include <catch2/catch_test_macros.hpp>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <string>
#include <string_view>
#include <variant>

namespace json = boost::json;

namespace {

std::string reason_of(std::string_view text)
{
    try {
        chat::parse_wish(text);
        return "";
    } catch (const chat::refusal& refusal) {
        return refusal.reason();
    }
}

}  // namespace

TEST_CASE("each wish is read with its fields, in any order")
{
    using namespace chat;
    CHECK(std::get<introduce>(parse_wish(R"({"do":"name","nick":"Ada"})")).nick == "Ada");
    CHECK(std::get<join>(parse_wish(R"({"room":"tea","do":"join"})")).room == "tea");
    CHECK(std::get<leave>(parse_wish(R"({"do":"leave","room":"tea"})")).room == "tea");
    const auto said = std::get<say>(parse_wish(R"({"do":"say","room":"tea","text":"\u00e9\n"})"));
    CHECK(said.room == "tea");
    CHECK(said.text == "é\n");
    const auto told = std::get<tell>(parse_wish(R"({"do":"tell","nick":"Bob","text":"psst"})"));
    CHECK(told.nick == "Bob");
    CHECK(told.text == "psst");
}

TEST_CASE("what is not exactly a wish is refused")
{
    for (const std::string_view text :
         {"",
          " ",
          "null",
          "[]",
          "\"do\"",
          "17",
          "{",
          "{}",
          R"({"do":"name"})",
          R"({"do":"name","nick":17})",
          R"({"do":"name","nick":null})",
          R"({"do":"name","nick":["Ada"]})",
          R"({"do":"name","nick":"Ada","admin":"yes"})",
          R"({"do":"dance"})",
          R"({"do":17})",
          R"({"nick":"Ada"})",
          R"({"do":"say","room":"tea"})",
          R"({"do":"join","room":"tea"} {})",
          R"({"do":"join","room":"tea",})",
          R"({'do':'join','room':'tea'})",
          R"({"do":"join",/* */"room":"tea"})",
          R"({"do":"join","room":{"a":{"b":{"c":"d"}}}})",
          "{\"do\":\"join\",\"room\":\"t\xff\"}",
          "{\"do\":\"join\",\"room\":\"a\nb\"}",
          R"({"do":"join","room":"\ud800"})",
          R"({"do":"join","room":"\udc00\ud800"})"}) {
        INFO(text);
        CHECK(reason_of(text) == "bad_message");
    }
    CHECK(reason_of(std::string(100'000, '[')) == "bad_message");
}

TEST_CASE("a name is letters, digits, - and _, and not too long")
{
    for (const std::string_view good : {"a", "Ada", "ada-2_B", "12345678901234567890"}) {
        INFO(good);
        CHECK(chat::is_name(good, 20));
    }
    for (const std::string_view bad :
         {"", " ", "a b", "a\n", "<b>", "Ad\xc3\xa4", "123456789012345678901", "a.b", "a/b"}) {
        INFO(bad);
        CHECK_FALSE(chat::is_name(bad, 20));
    }
    CHECK_FALSE(chat::is_name(std::string_view("a\0b", 3), 20));
}

TEST_CASE("a text has something in it, is not too long, and has no control characters")
{
    for (const std::string_view good : {"a", " a ", "a\nb\tc", "<script>", "\xf0\x9f\x8d\xb5"}) {
        INFO(good);
        CHECK(chat::is_text(good, 8));
    }
    for (const std::string_view bad : {"", " ", "\n\t ", "123456789", "a\rb", "\x1b[2J", "\x7f"}) {
        INFO(bad);
        CHECK_FALSE(chat::is_text(bad, 8));
    }
    CHECK_FALSE(chat::is_text(std::string_view("a\0b", 3), 8));
}

TEST_CASE("an event is one line, whatever is said in it")
{
    const auto line = chat::said("tea", "Ada", "one\ntwo \"three\" \\ </script>");
    CHECK(line->find('\n') == line->size() - 1);
    const auto event = json::parse(*line).as_object();
    CHECK(event.at("event") == "said");
    CHECK(event.at("room") == "tea");
    CHECK(event.at("nick") == "Ada");
    CHECK(event.at("text") == "one\ntwo \"three\" \\ </script>");
    CHECK(event.at("at").as_int64() > 1'700'000'000'000);
}
