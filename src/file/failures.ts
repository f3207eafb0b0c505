// What can be wrong with a system file and its loading: one catalogue for the checker here and the loader in system.

import { type Catalogue, defineFailures } from '../kit/failure.ts'

type FileFailure =
  | 'value'
  | 'missing'
  | 'unknownKey'
  | 'laterKey'
  | 'conflict'
  | 'unknownService'
  | 'unknownEnvironment'
  | 'notPlain'
  | 'tooLarge'
  | 'pathUnusable'
  | 'shadowed'
  | 'doubtful'
  | 'notFound'
  | 'notReadable'
  | 'kindUnknown'
  | 'syntax'
  | 'importMissing'
  | 'threw'
  | 'noDefaultExport'
  | 'tookTooLong'
  | 'exited'
  | 'secretMissing'
  | 'secretsExposed'
  | 'secretsMalformed'
  | 'secretShort'
  | 'invalid'

export const fileFailures: Catalogue<FileFailure> = defineFailures('file', {
  value: {
    when: 'A key of the system file has a value that is not allowed there.',
    advice: 'Write one of the values that the message allows.',
    status: 422,
  },
  missing: { when: 'A key that must be there is not.', advice: 'Add the key.', status: 422 },
  unknownKey: {
    when: 'The file has a key that Tenfold does not know.',
    advice: 'Correct its spelling, or remove it. All keys are in docs/reference/system-file.md.',
    status: 422,
  },
  laterKey: {
    when: 'The file uses a part that a later version of Tenfold brings.',
    advice: 'Leave the key out for now.',
    status: 422,
  },
  conflict: {
    when: 'Two keys of the file contradict each other.',
    advice: 'Change one of them as the message says.',
    status: 422,
  },
  unknownService: {
    when: 'A route leads to a service that the file does not have.',
    advice: 'Correct the name, or add the service.',
    status: 422,
  },
  unknownEnvironment: {
    when: 'The environment asked for by --env or TENFOLD_ENV has no entry in `environments`.',
    advice: 'Name one of the environments of the file, or add it.',
    status: 422,
  },
  notPlain: {
    when: 'The exported system holds something that is not plain data: a function, a Date, a class instance, a cycle.',
    advice: 'Export plain objects, lists, texts, numbers, true, false and null only.',
    status: 422,
  },
  tooLarge: {
    when: 'The exported system has too many values or is nested too deeply.',
    advice: 'Split the system, or remove what does not belong into the file.',
    status: 422,
  },
  pathUnusable: {
    when: 'A file or folder that the system file names is missing, can not be read, or is not what it should be.',
    advice: 'Put it there, or correct the path: it is meant from the folder of the system file.',
    status: 422,
  },
  shadowed: {
    when: 'A route can never match, because an earlier one takes all its requests (warning).',
    advice: 'Move the more special route up, or remove it.',
    status: 422,
  },
  doubtful: {
    when: 'Something is allowed but probably not what was meant (warning).',
    advice: 'Read the message; change the file if it is right.',
    status: 422,
  },
  notFound: {
    when: 'The system file does not exist.',
    advice: 'Give its path, or write one with `tenfold init`.',
    status: 422,
  },
  notReadable: {
    when: 'The system file is there but can not be read, or is a directory.',
    advice: 'Check its permissions; it must be readable for the user that runs Tenfold.',
    status: 422,
  },
  kindUnknown: {
    when: 'The system file has an ending that Tenfold does not load.',
    advice: 'Use .ts, .mts, .js, .mjs or .json.',
    status: 422,
  },
  syntax: {
    when: 'The system file, or a file that it imports, does not parse.',
    advice: 'Correct the line that the message shows.',
    status: 422,
  },
  importMissing: {
    when: 'The system file imports something that is not there.',
    advice: 'Install the package, or correct the path.',
    status: 422,
  },
  threw: {
    when: 'The system file threw while it was imported, or its function did.',
    advice: 'Correct the line that the message shows.',
    status: 422,
  },
  noDefaultExport: {
    when: 'The system file exports no default.',
    advice: 'Write `export default defineSystem({ ... })`.',
    status: 422,
  },
  tookTooLong: {
    when: 'The system file did not come to an end in time.',
    advice: 'Look for an endless loop or a promise that never settles.',
    status: 422,
  },
  exited: {
    when: 'The system file ended the process that loaded it.',
    advice: 'Remove process.exit; throw an Error instead.',
    status: 422,
  },
  secretMissing: {
    when: 'A secret that the file refers to is neither in the environment nor in secrets.env.',
    advice: 'Set it in the environment, or add NAME=value to secrets.env beside the system file (mode 0600).',
    status: 422,
  },
  secretsExposed: {
    when: 'secrets.env can be read by other users.',
    advice: 'Run: chmod 600 secrets.env',
    status: 422,
  },
  secretsMalformed: {
    when: 'A line of secrets.env is not NAME=value.',
    advice: 'Write one NAME=value a line; lines that begin with # are comments.',
    status: 422,
  },
  secretShort: {
    when: 'A secret that the guard signs with is too short: it could be guessed.',
    advice: 'Make one by `openssl rand -base64 32`, the same on all hosts.',
    status: 422,
  },
  invalid: {
    when: 'The system file was loaded, but checking found problems.',
    advice: 'Correct what the problems name; nothing was started.',
    status: 422,
  },
})
