// docs/reference/cli.md, generated from the table of commands. Pure.

import type { CommandDefinition } from './command.ts'
import { commands } from './commands.ts'
import { argumentsOf, argumentText, exampleLines, exitCodesText } from './program.ts'

/** Path and content for scripts/generate.ts. */
export function cliReference(): Record<string, string> {
  return { 'docs/reference/cli.md': page() }
}

function page(): string {
  const list = commands.map(({ name, summary }) => `| [\`${name}\`](#tenfold-${name}) | ${summary} |`)
  return `# The command line

Generated from \`src/cli/commands.ts\` by \`npm run generate\`; do not edit.

| command | what it does |
|---|---|
${list.join('\n')}

Commands on a running system talk to its control API and find it through the state directory: give the same file, or the
same \`--state\`, as for \`up\`. Common options: \`--state DIR\` (default \`.tenfold\` beside the file), \`--json\` (for machines:
one value, or one a line for what goes on), \`--help\`; and where the file itself is loaded \`--env NAME\` (or \`TENFOLD_ENV\`:
the environment whose overrides of the file apply). Colour is used on a terminal only, and never with \`NO_COLOR\`.

\`\`\`
${exitCodesText}
\`\`\`

With \`--json\` a failure is \`{ "error": { "code", "message", "remedy" } }\`; the codes are stable (docs/reference/errors.md).

${commands.map(section).join('\n')}`
}

function section(definition: CommandDefinition): string {
  const { name, summary, details, options = [], takesEnvironment } = definition
  const taken = argumentsOf(definition)
  const usage = taken.map(argumentText).join(' ')
  const rows = [
    ...taken.map(one => `| \`${one.name}\` | ${one.text} |`),
    ...options.map(one => {
      const value = one.default === undefined ? '' : ` (default ${one.default})`
      return `| \`${one.flags}\` | ${one.text}${value} |`
    }),
  ]
  if (taken.some(one => one.many))
    rows.push('| `--system <file>` | The system file, or its folder (default: tenfold.config.ts here) |')
  if (takesEnvironment) rows.push('| `--env <name>` | Environment whose overrides of the file apply |')
  const table = rows.length === 0 ? '' : `\n| | |\n|---|---|\n${rows.join('\n')}\n`
  return `## tenfold ${name}

${summary}.${details === undefined ? '' : ` ${details}`}

\`\`\`
tenfold ${name} ${usage}
\`\`\`
${table}
\`\`\`
${exampleLines(definition)
  .map(line => line.trimStart())
  .join('\n')}
\`\`\`
`
}
