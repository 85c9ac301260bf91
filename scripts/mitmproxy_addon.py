"""Holds what goes through mitmproxy to a bottle's budgets, and charges it to them.

    mitmdump -s scripts/mitmproxy_addon.py --set connection_strategy=lazy --set bb_bottle=web

Asks the controller of BB_HOME (or ~/.bot-bottle) over its socket; without it nothing passes.
"""
import asyncio, concurrent.futures, json, logging, os, re  # noqa: E401
from contextlib import suppress
from mitmproxy import ctx, exceptions, http

HOSTS = {"api.anthropic.com": "claude", "api.openai.com": "codex"}
WIRES = {"messages": "anthropic_messages", "chat/completions": "openai_chat", "responses": "openai_responses"}
ENDS = ("message_stop", "response.completed", "response.incomplete", "response.failed")
TEXT = re.compile(rb'"(?:text|thinking|partial_json|content|arguments|delta)":\s*"((?:[^"\\]|\\.)*)"')
GATEWAYS = (408, 502, 504, *range(520, 528))  # what they refuse may be billed; no other error is
HEADERS = {"content-type": "application/json", "x-should-retry": "false"}
DOWN = "the controller does not answer and no call passes without it; tell the operator"
LOOK_EVERY, NOW, CALLS, APART = 1.0, 5.0, {}, concurrent.futures.ThreadPoolExecutor(1)  # seconds; open calls

async def ask(method, **params):
    home = os.environ.get("BB_HOME") or os.path.expanduser("~/.bot-bottle")
    reader, writer = await asyncio.open_unix_connection(home + "/run/controller.sock")
    try:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        writer.write(json.dumps(request).encode() + b"\n")
        answer = json.loads(await reader.readline() or '{"error": {"message": "the connection ended"}}')
    finally:
        writer.close()  # a call that waits for room is taken back by this
    if "error" in answer:
        raise OSError(answer["error"]["message"])
    return answer["result"]

class Call:  # one that was admitted, and what its answer has said so far
    def __init__(self, flow, wire):
        self.flow, self.wire, self.usage, self.bytes, self.rest = flow, wire, {}, 0, b""
        self.is_over = self.is_cut = self.is_resolved = False
        self.watching = asyncio.ensure_future(self.watch())

    def read(self, event):  # reads a JSON object of the answer: the last word on each count stands
        stated = (event.get("response") or event.get("message") or event).get("usage") or event.get("usage") or {}
        cached = (stated.get("prompt_tokens_details") or stated.get("input_tokens_details") or {}).get("cached_tokens")
        thought = stated.get("completion_tokens_details") or stated.get("output_tokens_details") or {}
        sent = stated.get("input_tokens", stated.get("prompt_tokens"))
        if sent is not None and self.wire != "anthropic_messages":
            sent -= cached or 0  # OpenAI's count has what was cached in it
        counts = {"input": sent, "cache_read": stated.get("cache_read_input_tokens", cached),
                  "cache_write": stated.get("cache_creation_input_tokens"),
                  "output": stated.get("output_tokens", stated.get("completion_tokens")),
                  "reasoning": thought.get("reasoning_tokens")}
        self.usage.update({kind: count for kind, count in counts.items() if count is not None})
        self.is_over = self.is_over or event.get("type") in ENDS

    def passing(self, data):  # passes on a piece of a stream; the piece that ends it only once it is charged
        *lines, self.rest = (self.rest + data).split(b"\n")
        for text in (text[5:].strip() for text in lines if text.startswith(b"data:")):
            self.is_over = self.is_over or text == b"[DONE]"
            self.bytes += sum(map(len, TEXT.findall(text))) if b"delta" in text else 0
            with suppress(Exception):  # what cannot be read is estimated
                self.read(json.loads(text))
        if self.is_over and not (self.is_resolved or self.is_cut):
            try:  # apart, since mitmproxy waits for this answer and for nothing else
                self.is_resolved = bool(APART.submit(asyncio.run, ask("call.settle", **self.outcome())).result(NOW))
            except (OSError, ValueError) as error:
                self.cut(error)
        return b"" if self.is_cut else data

    def outcome(self, **more):
        known = {"usage": self.usage, "output_bytes": self.bytes, "estimated": "output" not in self.usage}
        return {"call": self.flow.id, "status": getattr(self.flow.response, "status_code", None)} | known | more

    def cut(self, why):  # ends the connection of the client, and so the provider's
        self.is_cut, client = True, self.flow.client_conn
        logging.warning("cut off: %s", why)
        with suppress(KeyError):  # it has gone by itself
            ctx.master.addons.get("proxyserver").connections[client.id].transports[client].handler.cancel("cut off")

    async def watch(self):  # says what flows, and hears whether the call is to end
        while not await asyncio.sleep(LOOK_EVERY) and not (self.is_resolved or self.is_cut):
            try:
                why = (await ask("call.flowed", call=self.flow.id, usage=self.usage, output_bytes=self.bytes))["cut"]
            except (OSError, ValueError) as error:
                why = error
            if why and not self.is_resolved:
                self.cut(why)

def load(loader):
    loader.add_option("bb_bottle", str, "", "The bottle, as `bb-ctl register` made it.")
    loader.add_option("bb_provider", str, "", "The provider of all that passes, where its host does not say it.")

def configure(updated):
    if ctx.options.stream_large_bodies:
        raise exceptions.OptionsError("stream_large_bodies sends requests on before they can be refused")

def refuse(flow, sentence, status=400):
    error = {"message": sentence, "type": "invalid_request_error", "param": None, "code": "invalid_prompt"}
    flow.response = http.Response.make(status, json.dumps({"type": "error", "error": error}), HEADERS)

async def request(flow):
    path = flow.request.path.split("?")[0]
    provider = ctx.options.bb_provider or HOSTS.get(flow.request.pretty_host)
    wire = next((wire for end, wire in WIRES.items() if path.endswith("/" + end)), None)
    if provider and "upgrade" in flow.request.headers:
        return refuse(flow, "no WebSocket is metered here; use POST", 426)
    if not provider or flow.request.method in ("GET", "HEAD", "OPTIONS") or path.endswith("_tokens"):
        return
    try:
        asked = json.loads(body := flow.request.content or b"")
        if not wire or asked.get("background"):
            return refuse(flow, "what this request uses cannot be metered here")
        most = asked.get("max_tokens") or asked.get("max_completion_tokens") or asked.get("max_output_tokens")
        facts = {"model": asked.get("model") or "", "choices": asked.get("n") or 1, "output_max": most}
        facts |= {"bottle": ctx.options.bb_bottle, "provider": provider, "wire": wire, "input_bytes": len(body)}
        asking = asyncio.ensure_future(ask("call.reserve", call=flow.id, **facts))
        while not (await asyncio.wait({asking}, timeout=0.2))[0] and flow.client_conn.connected:
            pass  # it waits for room as long as its client does
        answer = asking.result() if asking.done() else {"gone": asking.cancel()}
    except Exception as problem:  # mitmproxy would let it pass
        logging.warning("not forwarded: %s", problem)
        return refuse(flow, DOWN if isinstance(problem, OSError) else "this request cannot be read")
    if "admitted" not in answer:
        return refuse(flow, answer.get("refused", {}).get("sentence", "this call was made before"))
    flow.request.headers["accept-encoding"] = "identity"
    CALLS[flow.id] = Call(flow, wire)

def responseheaders(flow):
    if flow.id in CALLS and "event-stream" in flow.response.headers.get("content-type", ""):
        flow.response.stream = CALLS[flow.id].passing

async def response(flow):
    status = flow.response.status_code
    await resolve(flow, status >= 400 and status not in GATEWAYS, status >= 400 or bool(flow.response.stream))

async def error(flow):
    await resolve(flow, not (flow.response or flow.server_conn.timestamp_tcp_setup), True)

async def resolve(flow, is_unbilled, is_torn):
    if not (call := CALLS.pop(flow.id, None)) or call.is_resolved:
        return  # nothing of ours, or charged at its end
    call.is_resolved = True
    with suppress(Exception):
        call.read({} if is_torn else json.loads(flow.response.content))
    try:
        told = call.outcome(**({"estimated": True} if is_torn else {}))
        await (ask("call.void", call=flow.id, status=told["status"]) if is_unbilled else ask("call.settle", **told))
    except Exception as problem:
        logging.warning("not charged, so not shown: %s", problem)
        refuse(flow, DOWN)
