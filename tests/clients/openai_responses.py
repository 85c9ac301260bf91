"""OpenAI's SDK with the Responses API."""

import argparse

import openai

import said


def ask(arguments: argparse.Namespace) -> dict:
    client = openai.OpenAI()
    if arguments.stream:
        response = None
        events = client.responses.create(
            model=arguments.model, input=arguments.prompt, stream=True
        )
        for event in events:
            if event.type in ("response.completed", "response.incomplete", "response.failed"):
                response = event.response
        if response is None:
            raise RuntimeError("the stream had no terminal event")
    else:
        response = client.responses.create(model=arguments.model, input=arguments.prompt)
    if response.error is not None:
        raise RuntimeError(response.error.message)
    return {
        "text": response.output_text,
        "stop": response.status,
        "usage": response.usage and response.usage.model_dump(exclude_none=True),
    }


said.main(ask, "gpt-5")
