// The page's side of the chat. messages.hpp describes what goes over the wire.
//
// What others say goes into the page as textContent, never as innerHTML: the browser then takes it
// for text, whatever it looks like.
"use strict";

const element = (id) => document.getElementById(id);
const most_messages = 500; // on the page; older ones go
const first_pause = 1000; // milliseconds, before it connects again
const longest_pause = 30000;

let me = ""; // our nickname, and the room, once they have been entered
let room = "";
let socket = null;
let inside = false; // the room has been joined on this connection
let pause = first_pause;
let next_try = 0; // the timer of it
let old_messages = 0; // how many of the next messages are from the room's history
let people = [];

// --- showing ------------------------------------------------------------------------------------

function make(tag, class_name, text) {
    const made = document.createElement(tag);
    made.className = class_name;
    made.textContent = text;
    return made;
}

function show_line(class_name, parts, next = null) {
    const list = element("messages");
    // Follow the conversation, unless the reader has scrolled back.
    const at_end = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    const line = make("li", class_name, "");
    line.append(...parts);
    list.insertBefore(line, next); // at the end, when there is no next
    while (list.children.length > most_messages) {
        list.firstChild.remove();
    }
    if (at_end) {
        list.scrollTop = list.scrollHeight;
    }
}

function show_message(class_name, at, who, text) {
    const date = new Date(at);
    const time = make("time", "", date.toLocaleTimeString([], { timeStyle: "short" }));
    time.dateTime = date.toISOString();
    // An old message goes before the private ones that are on the page already, and came later.
    const is_later = (line) => Date.parse(line.querySelector("time")?.dateTime) > at;
    const next = class_name === "old" ? [...element("messages").children].find(is_later) : null;
    show_line(class_name, [time, make("span", "who", who), make("span", "text", text)], next);
}

// The messages of the room come again after a new connection. The private ones are only here.
function clear_room() {
    element("messages").querySelectorAll("li:not(.private)").forEach((line) => line.remove());
}

function show_news(text) {
    show_line("news", [text]);
}

function show_people() {
    people.sort((a, b) => a.localeCompare(b));
    element("people").replaceChildren(...people.map((nick) => make("li", "", nick)));

    const to = element("to");
    const chosen = to.value;
    const others = people.filter((nick) => nick !== me);
    to.replaceChildren(new Option("everybody", ""), ...others.map((nick) => new Option(nick)));
    to.value = others.includes(chosen) ? chosen : "";
}

function show_status(text) {
    element("status").textContent = text;
}

function show_entrance(why) {
    element("refusal").textContent = why;
    element("entrance").hidden = false;
    element("chat").hidden = true;
    element("nick").focus();
}

// --- what the server tells ----------------------------------------------------------------------

const on = {
    welcome({ nick }) {
        me = nick;
        send({ do: "join", room });
    },

    joined(event) {
        inside = true;
        pause = first_pause;
        people = event.people;
        old_messages = event.history;
        clear_room();
        element("room-name").textContent = "in " + event.room;
        element("entrance").hidden = true;
        element("chat").hidden = false;
        element("text").focus();
        show_people();
        show_status("connected as " + me);
    },

    entered({ nick }) {
        if (!people.includes(nick)) {
            people.push(nick); // in a crowd it can have left and come back, unannounced
        }
        show_people();
        show_news(nick + " comes in");
    },

    left({ nick }) {
        people = people.filter((each) => each !== nick);
        show_people();
        show_news(nick + " leaves");
    },

    said({ at, nick, text }) {
        show_message(old_messages > 0 ? "old" : "", at, nick, text);
        old_messages = Math.max(0, old_messages - 1);
    },

    told({ at, from, to, text }) {
        show_message("private", at, from === me ? "to " + to : from + ", to you", text);
    },

    // When it comes back, its old connection can still have the name, as long as the server has
    // not noticed that it is gone. Then it tries again, as after any other failure.
    refused({ reason, text }) {
        if (inside) {
            show_news(text);
        } else if (reason === "nick_taken" && !element("chat").hidden) {
            socket.close();
        } else {
            leave(text);
        }
    },
};

// --- the connection -----------------------------------------------------------------------------

function send(request) {
    socket.send(JSON.stringify(request));
}

function connect() {
    clearTimeout(next_try);
    inside = false;
    show_status("connects");
    const opened = new WebSocket(location.origin.replace(/^http/, "ws") + "/chat");
    socket = opened;
    opened.onopen = () => send({ do: "name", nick: me });
    opened.onmessage = ({ data }) => {
        for (const line of data.trimEnd().split("\n")) {
            const event = JSON.parse(line);
            if (socket === opened && Object.hasOwn(on, event.event)) {
                on[event.event](event);
            }
        }
    };
    // Comes at every end, also when there was no connection to begin with.
    opened.onclose = ({ code }) => {
        if (socket === opened) {
            socket = null;
            come_back(code);
        }
    };
}

// Connects again after a pause, which doubles each time, and is different for each page: when the
// server is back, not all of them come in the same instant.
function come_back(code) {
    const why = code === 1001 ? "the server stops" : "the connection is lost";
    const wait = pause * (0.5 + Math.random() / 2);
    pause = Math.min(2 * pause, longest_pause);
    show_status(`${why}; tries again in ${Math.ceil(wait / 1000)} s`);
    next_try = setTimeout(connect, wait);
}

// Ends the connection for good, and asks for a name again.
function leave(why) {
    const closed = socket;
    socket = null;
    closed.close();
    show_status("not connected");
    show_entrance(why);
}

// --- what the reader does -----------------------------------------------------------------------

element("entrance").addEventListener("submit", (event) => {
    event.preventDefault();
    const nick = element("nick").value.trim();
    if (nick !== me) {
        element("messages").replaceChildren(); // what was private was for another name
    }
    me = nick;
    room = element("room").value.trim();
    element("refusal").textContent = "";
    if (socket === null) {
        connect();
    }
});

element("speaking").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!inside || socket === null || socket.readyState !== WebSocket.OPEN) {
        return; // what is typed stays, until there is a connection again
    }
    const text = element("text").value;
    const nick = element("to").value;
    send(nick === "" ? { do: "say", room, text } : { do: "tell", nick, text });
    element("text").value = "";
});
