"""A task for inspect_ai whose stand-in model is right in the first so many of ten answers.

    python doubling.py RIGHT LOG_FOLDER

Without network: inspect's own mock model wants a table of tokens from there.
"""

import sys

from inspect_ai import Task, eval, task
from inspect_ai.dataset import Sample
from inspect_ai.model import GenerateConfig, ModelAPI, ModelOutput, modelapi
from inspect_ai.scorer import match
from inspect_ai.solver import generate

RIGHT = int(sys.argv[1])


@modelapi(name="standin")
class StandIn(ModelAPI):
    async def generate(self, input, tools, tool_choice, config: GenerateConfig) -> ModelOutput:
        number = int(input[-1].text)
        return ModelOutput.from_content("standin", str(2 * number if number <= RIGHT else 0))


@task
def doubling():
    samples = [Sample(input=str(i), target=str(2 * i)) for i in range(1, 11)]
    return Task(dataset=samples, solver=generate(), scorer=match())


eval(doubling(), model="standin/any", log_dir=sys.argv[2], display="none")
