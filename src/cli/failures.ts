// What can go wrong in the command line itself; everything else comes from the parts that it asks.

import { type Catalogue, defineFailures } from '../kit/failure.ts'

export const cliFailures: Catalogue<
  | 'numberInvalid'
  | 'fileExists'
  | 'folderMissing'
  | 'stopTimedOut'
  | 'optionInvalid'
  | 'argumentMissing'
  | 'databaseUnnamed'
  | 'notConfirmed'
  | 'programMissing'
  | 'descriptionUnreadable'
  | 'descriptionInvalid'
  | 'workloadMissing'
  | 'rehearsalUnknown'
  | 'traceUnreadable'
  | 'sampleInvalid'
  | 'figureUnknown'
  | 'pricesInvalid'
> = defineFailures('cli', {
  numberInvalid: {
    when: 'An argument or option that must be a whole number is none.',
    advice: 'Write digits only.',
    status: 400,
  },
  fileExists: {
    when: '`tenfold init` finds a system file where it would write one, or `tenfold routes import --write` a file of yours.',
    advice: 'Edit that file, or remove it first.',
    status: 422,
  },
  folderMissing: {
    when: '`tenfold init` is told a folder that does not exist or cannot be written.',
    advice: 'Create the folder, or name another one.',
    status: 422,
  },
  workloadMissing: {
    when: '`tenfold plan`, `simulate` or `calibrate` are given a file without `workload`.',
    advice: 'Add `workload`: which requests come, how often, and how long their work takes.',
    status: 422,
  },
  rehearsalUnknown: {
    when: '`tenfold simulate` names a rehearsal that the file does not have.',
    advice: '`tenfold simulate --list` shows those that it has.',
    status: 404,
  },
  traceUnreadable: {
    when: 'The trace of a rehearsal does not exist, or holds what is no trace.',
    advice: 'Write `time,count` lines, or one time a line: seconds or dates.',
    status: 422,
  },
  figureUnknown: {
    when: '`tenfold plan --explain` names a figure that the plan does not have.',
    advice:
      '`tenfold plan --explain` without a name lists all; where a file follows, put `--json` or another option between.',
    status: 404,
  },
  pricesInvalid: {
    when: "The file of `tenfold plan --prices` can't be read, or a price is missing, unknown or no number.",
    advice: 'Begin with a copy of prices/2026-11.json of the package.',
    status: 422,
  },
  sampleInvalid: {
    when: 'A rehearsal is to be sampled whose waits depend on how many there are: shared queues, one database, too few instances.',
    advice: 'Play it whole, with a smaller sample, or without the part that is shared.',
    status: 422,
  },
  optionInvalid: {
    when: 'An option has a value that it cannot have.',
    advice: '`tenfold COMMAND --help` says what that command takes.',
    status: 400,
  },
  argumentMissing: {
    when: 'What is to be done needs a further argument.',
    advice: '`tenfold COMMAND --help` says what that command takes.',
    status: 400,
  },
  databaseUnnamed: {
    when: '`tenfold db` names a database or server that the running system does not have, or none where there are several.',
    advice: '`tenfold db status` lists the databases and their servers.',
    status: 404,
  },
  notConfirmed: {
    when: '`tenfold db reset` is not confirmed: another name was typed, or there is no terminal to ask on.',
    advice: 'Type the name of the database, or give --yes.',
    status: 400,
  },
  programMissing: {
    when: 'A program that a command starts is not installed: `tenfold db psql` needs psql.',
    advice: "Install PostgreSQL's client: `apt install postgresql-client`, `brew install libpq`.",
  },
  descriptionUnreadable: {
    when: '`tenfold routes import` cannot read the description, or it is neither YAML nor JSON.',
    advice: 'Correct the place that is named.',
    status: 422,
  },
  descriptionInvalid: {
    when: '`tenfold routes import` reads a file that is no OpenAPI 3.0 or 3.1 description, or one without a path.',
    advice: 'Correct the place that is named; Swagger 2.0 can be converted to OpenAPI 3 by other tools.',
    status: 422,
  },
  stopTimedOut: {
    when: '`tenfold stop` has waited and the system has still not ended.',
    advice: 'Look at `tenfold status`, or end it at once with `tenfold stop --now`.',
  },
})
