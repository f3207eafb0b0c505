// `tenfold export`: a systemd unit or a keepalived configuration on standard output.

import { keepalivedConfigOf, systemdUnitOf } from '../../system/index.ts'
import type { Action, CommandInput } from '../command.ts'

export const exportUnit: Action = async input => {
  const { terminal, args, json } = input
  const text = args.what === 'keepalived' ? await keepalived(input) : await systemd(input)
  const name = args.what === 'keepalived' ? 'config' : 'unit'
  terminal.print(json ? JSON.stringify({ [name]: text }) : text.trimEnd())
  return 0
}

function systemd({ file, stateDirectory, environment, options }: CommandInput): Promise<string> {
  return systemdUnitOf({ file, stateDirectory, environment, user: textOf(options.user) ?? null })
}

function keepalived({ file, environment, options }: CommandInput): Promise<string> {
  return keepalivedConfigOf(
    { file, environment },
    {
      address: textOf(options.address),
      interface: textOf(options.interface),
      routerId: textOf(options.routerId) ?? '',
      priority: textOf(options.priority) ?? '',
      peer: textOf(options.peer),
      own: textOf(options.own),
    },
  )
}

const textOf = (value: string | boolean | undefined): string | undefined =>
  typeof value === 'string' ? value : undefined
