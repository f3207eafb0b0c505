// A systemd unit for one system. Pure: facts in, text out. docs/operate/systemd.md says how it is used.

export interface UnitQuestion {
  readonly name: string
  /** Absolute paths. */
  readonly systemFile: string
  readonly directory: string
  readonly stateDirectory: string
  readonly node: string
  readonly mainFile: string
  readonly environment: string | null
  /** The user of the whole unit; null: root, and Tenfold chooses one for the services. */
  readonly user: string | null
  /** Longest way from TERM to the end, milliseconds. */
  readonly stopMs: number
}

export function systemdUnit(question: UnitQuestion): string {
  const { name, systemFile, directory, stateDirectory, node, mainFile, environment, user } = question
  const command = (verb: string, ...rest: string[]): string =>
    [node, mainFile, verb, ...rest, '--state', stateDirectory, systemFile].map(quoted).join(' ')
  const env = environment === null ? [] : ['--env', environment]
  return `[Unit]
Description=${name} (Tenfold)
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=exec
${user === null ? '# As root: services run as the user that Tenfold chooses. Better: give the unit a user (--user NAME).' : `User=${user}`}
WorkingDirectory=${directory}
# Secrets as NAME=value lines, readable by root only; left out when the file is not there.
EnvironmentFile=-/etc/tenfold/${name}.env
ExecStart=${command('up', '--no-watch', ...env)}
ExecReload=${command('reload')}
Restart=on-failure
RestartSec=1
# The edge and the instances run in sessions of their own and serve on when the supervisor dies; its restart takes them
# back. So systemd signals the supervisor only, which ends all the others when it is stopped.
KillMode=process
TimeoutStopSec=${Math.ceil(question.stopMs / 1_000) + 15}
LimitNOFILE=1048576

NoNewPrivileges=yes
${user === null ? '# CapabilityBoundingSet is not narrowed: root starts services as other users.' : 'AmbientCapabilities=CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE'}
ProtectSystem=strict
# What services write elsewhere must be added here.
ReadWritePaths=${quoted(directory)}${stateDirectory.startsWith(`${directory}/`) ? '' : ` ${quoted(stateDirectory)}`}
# No PrivateTmp: what a restart of the unit takes back would still be in the former one.
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
LockPersonality=yes
SystemCallArchitectures=native
UMask=0077
# No MemoryDenyWriteExecute: JavaScript engines write the code they run.

[Install]
WantedBy=multi-user.target
`
}

/** systemd.service(5), "Command lines": blanks and quotes need quoting, % and $ doubling. */
function quoted(word: string): string {
  const escaped = word.replaceAll('%', '%%').replaceAll('$', '$$$$')
  return /^[\w@+=:,./%$-]+$/.test(word)
    ? escaped
    : `"${escaped.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}
