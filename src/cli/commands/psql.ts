// `tenfold db psql`: PostgreSQL's own shell, logged in: through the router as an operator or a service, or to one server.

import { runInTerminal } from '../../io/terminal-program.ts'
import { Failure } from '../../kit/failure.ts'
import type { CommandInput } from '../command.ts'
import { clientOf } from '../connection.ts'
import type { ExitCode } from '../failure-text.ts'
import { cliFailures } from '../failures.ts'

export async function psql(
  input: CommandInput,
  databaseOf: (input: CommandInput, client: ReturnType<typeof clientOf>) => Promise<string>,
): Promise<ExitCode> {
  const client = clientOf(input)
  const { as, primary, server, command } = input.options
  const wished = [as, primary === true ? 'primary' : undefined, server].filter(one => one !== undefined)
  if (wished.length > 1)
    throw new Failure(cliFailures.optionInvalid, '--as, --primary and --server exclude each other.')
  const login = await client.databases.connection(await databaseOf(input, client), {
    ...(typeof as === 'string' ? { as } : {}),
    ...(primary === true ? { server: 'primary' } : {}),
    ...(typeof server === 'string' ? { server } : {}),
  })
  const code = await runInTerminal({
    command: 'psql',
    args: [
      '--host',
      login.host,
      '--port',
      String(login.port),
      '--username',
      login.user,
      '--dbname',
      login.database,
      ...(typeof command === 'string' ? ['--command', command] : []),
    ],
    // Not among the arguments: those anybody may read.
    env: { PGPASSWORD: login.password, PGSSLMODE: login.sslmode, PGAPPNAME: 'tenfold psql' },
  })
  if (code === null)
    throw new Failure(
      cliFailures.programMissing,
      `This machine has no psql. ${login.user} logs in to ${login.host}:${login.port} (${login.through}), database ${login.database}.`,
    )
  return code === 0 ? 0 : 1
}
