"""The tool `load_skill`."""

from __future__ import annotations

from pydantic import Field

from sandbox.agent.tool import Arguments, Tool, ToolResult
from sandbox.agent.tool_context import ToolContext
from skills.skill import Skill

SKILL_FOLDER = ".git/bellhop/skills"
"""Inside .git, so that a skill's files never end up in a commit."""


class LoadSkillArguments(Arguments):
    name: str = Field(min_length=1, description="A skill's name from the list.")


class LoadSkill(Tool[LoadSkillArguments]):
    """Gives a skill's instructions, its files laid out in the box."""

    name = "load_skill"
    description = "Load a skill: its full instructions come back, and its files are put into the sandbox."
    arguments = LoadSkillArguments
    mutates = True
    journaled = False

    def action(self, arguments: LoadSkillArguments) -> str:
        return f"loading the skill {arguments.name}"

    async def run(self, context: ToolContext, arguments: LoadSkillArguments) -> ToolResult:
        skill = context.skills.get(arguments.name)
        if skill is None:
            names = ", ".join(known.name for known in context.skills.skills) or "none"
            return ToolResult(f"There is no skill called {arguments.name!r}. There are: {names}.", "error")
        listed = await self._lay_out(context, skill)
        return ToolResult(f"{skill.body}{listed}")

    async def _lay_out(self, context: ToolContext, skill: Skill) -> str:
        folder = f"{SKILL_FOLDER}/{skill.name}"
        for name, content in skill.files.items():
            await context.runner.write_file(f"{context.call_id}:{name}", f"{folder}/{name}", content)
        if not skill.files:
            return ""
        names = "\n".join(f"- {folder}/{name}" for name in sorted(skill.files))
        return f"\nFiles that come with it:\n{names}\n"
