"""OpenAI's SDK with chat completions; its streams state usage only with --include-usage."""

import argparse

import openai

import said


def ask(arguments: argparse.Namespace) -> dict:
    client = openai.OpenAI()
    messages = [{"role": "user", "content": arguments.prompt}]
    if not arguments.stream:
        completion = client.chat.completions.create(model=arguments.model, messages=messages)
        choice = completion.choices[0]
        text, stop, usage = choice.message.content, choice.finish_reason, completion.usage
    else:
        options = {"stream_options": {"include_usage": True}} if arguments.include_usage else {}
        text, stop, usage = "", None, None
        for chunk in client.chat.completions.create(
            model=arguments.model, messages=messages, stream=True, **options
        ):
            usage = chunk.usage or usage
            for choice in chunk.choices:
                text += choice.delta.content or ""
                stop = choice.finish_reason or stop
    return {"text": text, "stop": stop, "usage": usage and usage.model_dump(exclude_none=True)}


said.main(ask, "gpt-5")
