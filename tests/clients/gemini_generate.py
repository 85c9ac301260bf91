"""Google's SDK with generateContent and streamGenerateContent."""

import argparse

from google import genai

import said


def ask(arguments: argparse.Namespace) -> dict:
    client = genai.Client()
    request = {"model": arguments.model, "contents": arguments.prompt}
    if arguments.stream:
        chunks = list(client.models.generate_content_stream(**request))
        text, last = "".join(chunk.text or "" for chunk in chunks), chunks[-1]
    else:
        last = client.models.generate_content(**request)
        text = last.text
    usage = last.usage_metadata
    return {
        "text": text,
        "stop": last.candidates[0].finish_reason,
        "usage": usage and usage.model_dump(mode="json", exclude_none=True),
    }


said.main(ask, "gemini-2.5-flash")
