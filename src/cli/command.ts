// What a command is: its definition (help, completion of options and the reference page come from it) and its action,
// loaded when it is called. Types only.

import type { ExitCode } from './failure-text.ts'
import type { Terminal } from './terminal.ts'

export interface CommandDefinition {
  readonly name: string
  /** One sentence, without a final full stop. */
  readonly summary: string
  readonly details?: string
  readonly arguments?: readonly ArgumentDefinition[]
  readonly options?: readonly OptionDefinition[]
  /** Command lines without `tenfold`, each with what it does. */
  readonly examples: readonly (readonly [string, string])[]
  /** Does it take the system file as its last argument (by --system where an argument is a list), and --state? Default true. */
  readonly takesFile?: boolean
  /** Does it load the file itself, and take --env? Commands on a running system use what `up` was told. */
  readonly takesEnvironment?: boolean
  readonly load: () => Promise<Action>
}

export interface ArgumentDefinition {
  readonly name: string
  readonly text: string
  readonly optional?: boolean
  readonly choices?: readonly string[]
  /** As many as are given, as a list. The last argument. */
  readonly many?: boolean
  /** It may look like a path and is none. */
  readonly neverFile?: boolean
}

export interface OptionDefinition {
  /** `-f, --follow`, `-n, --lines <count>`. */
  readonly flags: string
  readonly text: string
  readonly default?: string
  /** It can be given several times, as a list. */
  readonly many?: boolean
}

export type Action = (input: CommandInput) => Promise<ExitCode>

export interface CommandInput {
  readonly terminal: Terminal
  readonly args: Readonly<Record<string, string | undefined>>
  /** Arguments and options that are lists, by name; those that are not given are empty. */
  readonly lists: Readonly<Record<string, readonly string[]>>
  /** Values by long name in camel case. */
  readonly options: Readonly<Record<string, string | boolean | undefined>>
  /** Path of the system file, or of a folder that holds it. */
  readonly file: string
  readonly stateDirectory: string | undefined
  readonly environment: string | undefined
  readonly json: boolean
}
