// A keepalived configuration for one of two hosts that share a service address. Pure: facts in, text out. Why each line is
// as it is stands beside it, because whoever reads it at night reads it there. docs/operate/redundant-pair.md says more.

import { isIP } from 'node:net'
import type { CheckedSystem } from '../file/index.ts'
import { Failure } from '../kit/failure.ts'
import { systemFailures } from './failures.ts'

/** As typed: everything is checked here. */
export interface PairQuestion {
  /** `192.0.2.10/24`; several with commas, all of one kind. */
  readonly address: string | undefined
  /** `eth0`. */
  readonly interface: string | undefined
  /** 1..255, the same on both hosts, another one than other pairs of the network have. */
  readonly routerId: string
  /** 1..254, different on the two hosts. */
  readonly priority: string
  /** Addresses of the other host and of this one; absent: by multicast. */
  readonly peer: string | undefined
  readonly own: string | undefined
}

interface Pair {
  readonly addresses: readonly string[]
  readonly interface: string
  readonly routerId: number
  readonly priority: number
  readonly unicast: { readonly peer: string; readonly own: string } | null
}

const addressesMax = 20

/** Throws SYSTEM_PAIR_INVALID. */
export function keepalivedConfig(system: CheckedSystem, question: PairQuestion): string {
  const url = healthUrl(system)
  const { addresses, interface: device, routerId, priority, unicast } = checked(question)
  const name = `tenfold_${system.name.replace(/[^a-zA-Z0-9]/g, '_')}`
  const peers =
    unicast === null
      ? '    # By multicast (224.0.0.18, ff02::12). Where the network does not pass it: --own IP --peer IP.\n'
      : `    unicast_src_ip ${unicast.own}
    unicast_peer {
        ${unicast.peer}
    }
`
  return `# ${system.name}: ${addresses.join(', ')} is on the one of two hosts that should get traffic.
# Made by \`tenfold export keepalived\`. The other host has the same file with another priority${unicast === null ? '' : ', --own and --peer swapped'}.

global_defs {
    # VRRPv3 (RFC 9568): adverts may be more often than once a second.
    vrrp_version 3
    enable_script_security
    # As root, which only asks this host: with another user \`keepalived -t\` of version 2.2.7 ends itself by a signal.
    script_user root
}

# 200 while this host's Tenfold should get traffic; 503 while it drains, stands down, or has no member to serve with.
vrrp_script ${name} {
    script "/usr/bin/curl --disable --silent --fail --max-time 0.9 --output /dev/null ${url}"
    interval 1
    timeout 1
    fall 2
    rise 2
    # Nobody gets the address before Tenfold has said that it serves.
    init_fail
}

vrrp_instance ${name} {
    # Both begin as backup, and whoever has the address keeps it: a host that comes back takes nothing (no flapping).
    state BACKUP
    nopreempt
    interface ${device}
    virtual_router_id ${routerId}
    priority ${priority}
    # A host that falls silent is followed after three of these and a bit: under 2 s.
    advert_int 0.5
${peers}    # Gratuitous ARP (or neighbour advertisements) at once, a second later, and every half minute: the address has moved.
    garp_master_delay 1
    garp_master_repeat 3
    garp_master_refresh 30
    garp_master_refresh_repeat 1
    virtual_ipaddress {
${addresses.map(address => `        ${address} dev ${device}`).join('\n')}
    }
    track_script {
        # No weight: a check that fails is a fault, and a host at fault gives the address up at once (advert of priority 0).
        # With a weight the other one would have to pre-empt, which nopreempt forbids.
        ${name}
    }
}
`
}

/** Where keepalived of the same host asks. */
function healthUrl({ edge }: CheckedSystem): string {
  const listener = edge.listeners.find(one => one.kind === 'health')
  if (listener?.kind !== 'health')
    throw invalid('The system file has no health listener.', "Add `health: 9901` under 'edge'.")
  if (listener.port === 0)
    throw invalid(
      'The health listener has any free port (0), another one after each start.',
      "Give 'edge.health' a port.",
    )
  const anyHost: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' }
  const host = anyHost[listener.host] ?? listener.host
  return `http://${host.includes(':') ? `[${host}]` : host}:${listener.port}${listener.path}`
}

function checked(question: PairQuestion): Pair {
  const addresses = (question.address ?? '').split(',').map(text => text.trim())
  if (question.address === undefined || addresses.length > addressesMax)
    throw invalid(`--address is missing, or has more than ${addressesMax}.`, 'Write --address 192.0.2.10/24.')
  const families = new Set(addresses.map(familyOfBlock))
  if (families.size !== 1)
    throw invalid('--address mixes IPv4 and IPv6.', 'Make one pair for each, with another --router-id.')
  const device = question.interface ?? ''
  if (!/^[A-Za-z0-9][A-Za-z0-9._@-]{0,14}$/.test(device))
    throw invalid(`--interface ${device || 'is missing; it'} is no name of one.`, 'Write --interface eth0.')
  return {
    addresses,
    interface: device,
    routerId: within('--router-id', question.routerId, 255),
    priority: within('--priority', question.priority, 254),
    unicast: unicastOf(question, addresses, [...families][0] as 4 | 6),
  }
}

function unicastOf(
  { own, peer }: PairQuestion,
  addresses: readonly string[],
  family: 4 | 6,
): Pair['unicast'] {
  if (own === undefined && peer === undefined) return null
  if (own === undefined || peer === undefined || own === peer)
    throw invalid('--own and --peer go together, and differ.', 'Write --own 192.0.2.1 --peer 192.0.2.2.')
  for (const [name, text] of [
    ['--own', own],
    ['--peer', peer],
  ] as const) {
    if (isIP(text) !== family)
      throw invalid(`${name} ${text} is no IPv${family} address.`, 'Write an address.')
    if (addresses.some(address => address.split('/')[0] === text))
      throw invalid(
        `${name} ${text} is the shared address.`,
        'Give the address that the host has for itself alone.',
      )
  }
  return { own, peer }
}

function familyOfBlock(text: string): 4 | 6 {
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  const bitsMax = family === 6 ? 128 : 32
  if (
    family !== 0 &&
    rest.length === 0 &&
    /^\d{1,3}$/.test(bits ?? '') &&
    Number(bits) >= 1 &&
    Number(bits) <= bitsMax
  )
    return family as 4 | 6
  throw invalid(
    `--address ${text} is no address with its network's length.`,
    'Write --address 192.0.2.10/24.',
  )
}

function within(name: string, text: string, max: number): number {
  const value = Number(text)
  if (/^\d{1,3}$/.test(text) && value >= 1 && value <= max) return value
  throw invalid(
    `${name} ${text} is no whole number from 1 to ${max}.`,
    `Write ${name} ${max === 255 ? 51 : 100}.`,
  )
}

function invalid(sentence: string, remedy: string): Failure {
  return new Failure(systemFailures.pairInvalid, sentence, { details: { remedy } })
}
