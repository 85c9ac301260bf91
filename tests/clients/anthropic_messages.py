"""Anthropic's SDK as its documentation shows it; with --agent, the smallest agent there is."""

import argparse

import anthropic

import said

TOOLS = [
    {
        "name": "look",
        "description": "Looks at the work once more.",
        "input_schema": {"type": "object", "properties": {}},
    }
]


def ask(arguments: argparse.Namespace) -> dict:
    client = anthropic.Anthropic()
    messages = [{"role": "user", "content": arguments.prompt}]
    turns = 0
    while True:
        request = {"model": arguments.model, "max_tokens": 1024, "messages": messages}
        if arguments.agent:
            request["tools"] = TOOLS
        if arguments.stream:
            with client.messages.stream(**request) as stream:
                message = stream.get_final_message()
        else:
            message = client.messages.create(**request)
        turns += 1
        if message.stop_reason != "tool_use" or turns >= arguments.turns_max:
            break
        messages.append({"role": "assistant", "content": message.content})
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": "Nothing has changed."}
            for block in message.content
            if block.type == "tool_use"
        ]
        messages.append({"role": "user", "content": results})
    return {
        "text": "".join(block.text for block in message.content if block.type == "text"),
        "stop": message.stop_reason,
        "turns": turns,
        "usage": message.usage.model_dump(exclude_none=True),
    }


said.main(ask, "claude-opus-4-8")
