// The command line's parser, built from the table of commands. Owns what all commands share: the file argument, --state,
// --env, --json, help, exit codes and how failures are shown.

import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { tenfoldVersion } from '../system/index.ts'
import type { ArgumentDefinition, CommandDefinition, CommandInput } from './command.ts'
import { commands } from './commands.ts'
import { type ExitCode, exitCodeOf, failureJson, failureText } from './failure-text.ts'
import { createTerminal, type Terminal } from './terminal.ts'

export const exitCodesText = `Exit codes:
  0    done
  1    it failed
  2    what was asked for is wrong: arguments, names, the system file
  130  ended at once by a second Ctrl-C`

/** Parses, runs, and ends the process with the exit code. */
export async function runProgram(argv: readonly string[]): Promise<void> {
  const terminal = createTerminal()
  process.exit(await runCommandLine(argv, terminal))
}

export async function runCommandLine(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let code: ExitCode = 0
  const program = buildProgram(terminal, async (definition, input) => {
    code = await runAction(definition, input)
  })
  try {
    await program.parseAsync(argv)
  } catch (cause) {
    if (!(cause instanceof CommanderError)) throw cause
    // Help and version are asked for; everything else that commander throws is wrong input.
    return cause.exitCode === 0 ? 0 : 2
  }
  return code
}

async function runAction(definition: CommandDefinition, input: CommandInput): Promise<ExitCode> {
  const { terminal } = input
  try {
    const action = await definition.load()
    return await action(input)
  } catch (failure) {
    terminal.live(null)
    if (input.json) terminal.print(JSON.stringify(failureJson(failure)))
    else terminal.complain(failureText(failure, (style, text) => terminal.paint(style, text)))
    return exitCodeOf(failure)
  }
}

type Run = (definition: CommandDefinition, input: CommandInput) => Promise<void>

export function buildProgram(terminal: Terminal, run: Run): Command {
  const program = new Command('tenfold')
    .description('One typed file describes a whole web system; tenfold runs it.')
    .version(tenfoldVersion, '-V, --version', 'Print the version')
    .helpOption('-h, --help', 'Print this help')
    .helpCommand('help [command]', 'Print the help of a command')
    .showHelpAfterError('(tenfold --help lists the commands)')
    .showSuggestionAfterError(true)
    .addHelpText('after', `\n${exitCodesText}\n\nEach command has its own help: tenfold up --help`)
    .exitOverride()
    .configureOutput({
      writeOut: text => terminal.print(text.trimEnd()),
      writeErr: text => terminal.complain(text.trimEnd()),
    })
  for (const definition of commands) program.addCommand(buildCommand(definition, terminal, run))
  return program
}

function buildCommand(definition: CommandDefinition, terminal: Terminal, run: Run): Command {
  const { name, summary, details, takesFile = true, takesEnvironment = false } = definition
  const command = new Command(name)
    .summary(summary)
    .description(details === undefined ? `${summary}.` : `${summary}.\n\n${details}`)
    .helpOption('-h, --help', 'Print this help')
    .showHelpAfterError(`(tenfold ${name} --help says more)`)
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({
      writeOut: text => terminal.print(text.trimEnd()),
      writeErr: text => terminal.complain(text.trimEnd()),
    })
    .addHelpText('after', () => `\nExamples:\n${exampleLines(definition).join('\n')}`)
  const taken = argumentsOf(definition)
  for (const one of taken) command.addArgument(argumentOf(one))
  for (const { flags, text, default: value, many } of definition.options ?? []) {
    if (many) {
      const list = (now: string, before: unknown): string[] => [...((before ?? []) as string[]), now]
      command.addOption(new Option(flags, text).argParser(list))
      continue
    }
    // The last one would win in silence: of two SQL commands, or two servers, one.
    const once = (now: string, before: unknown): string => {
      if (before !== undefined && before !== value) throw new InvalidArgumentError('It can be given once.')
      return now
    }
    const option = flags.includes('<') ? new Option(flags, text).argParser(once) : new Option(flags, text)
    command.addOption(value === undefined ? option : option.default(value))
  }
  if (takesFile && taken.some(one => one.many)) {
    command.option('--system <file>', 'The system file, or its folder (default: tenfold.config.ts here)')
  }
  if (takesFile) {
    command.option('--state <dir>', 'State directory of the system (default: .tenfold beside the file)')
  }
  if (takesEnvironment) {
    command.addOption(
      new Option('--env <name>', 'Environment whose overrides of the file apply').env('TENFOLD_ENV'),
    )
  }
  command.option('--json', 'Print JSON, for machines')
  command.action(async (...given: unknown[]) => {
    await run(definition, inputOf(taken, given.slice(0, taken.length), command.opts(), terminal))
  })
  return command
}

export function argumentsOf(definition: CommandDefinition): ArgumentDefinition[] {
  const own = definition.arguments ?? []
  if (definition.takesFile === false || own.some(one => one.many)) return [...own]
  const text = 'The system file, or its folder (default: tenfold.config.ts here)'
  return [...own, { name: 'file', text, optional: true }]
}

export function argumentText({ name, optional, many }: ArgumentDefinition): string {
  const shown = many ? `${name}...` : name
  return optional ? `[${shown}]` : `<${shown}>`
}

function argumentOf(definition: ArgumentDefinition): Argument {
  const { text, choices } = definition
  const argument = new Argument(argumentText(definition), text)
  return choices === undefined ? argument : argument.choices(choices)
}

function inputOf(
  taken: readonly ArgumentDefinition[],
  values: readonly unknown[],
  given: Readonly<Record<string, unknown>>,
  terminal: Terminal,
): CommandInput {
  const named = Object.fromEntries(taken.map((argument, index) => [argument.name, values[index]]))
  const [lists, options] = apart(given)
  const [listed, single] = apart(named)
  const args = single as Record<string, string | undefined>
  moveFile(taken, args)
  const { file = options.system, ...rest } = args
  return {
    terminal,
    args: rest,
    lists: { ...lists, ...listed },
    options,
    file: typeof file === 'string' ? file : '.',
    stateDirectory: typeof options.state === 'string' ? options.state : undefined,
    environment: typeof options.env === 'string' && options.env !== '' ? options.env : undefined,
    json: options.json === true,
  }
}

/** Lists, and the rest. */
function apart(
  values: Readonly<Record<string, unknown>>,
): [Record<string, readonly string[]>, CommandInput['options']] {
  const entries = Object.entries(values)
  const lists = entries.filter(([, value]) => Array.isArray(value))
  const others = entries.filter(([, value]) => !Array.isArray(value))
  return [Object.fromEntries(lists) as never, Object.fromEntries(others) as never]
}

/** `tenfold logs shop/tenfold.config.ts`: an optional argument that is clearly a path is the file. */
function moveFile(taken: readonly ArgumentDefinition[], args: Record<string, string | undefined>): void {
  const before = taken.at(-2)
  if (
    taken.at(-1)?.name !== 'file' ||
    before?.optional !== true ||
    before.neverFile ||
    args.file !== undefined
  )
    return
  const value = args[before.name]
  if (value === undefined || !/[/\\]|\.(?:[cm]?[jt]s|json)$|^\.{1,2}$/.test(value)) return
  args.file = value
  args[before.name] = undefined
}

export function exampleLines({ examples }: CommandDefinition): string[] {
  const width = Math.max(...examples.map(([line]) => line.length))
  return examples.map(([line, what]) => `  tenfold ${line.padEnd(width)}  ${what}`)
}
