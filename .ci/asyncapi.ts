// The AsyncAPI document of the contract, from its topics and schemas. `npm run docs` writes it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { limits, Topics } from '../node-runtime/contract/index.ts';
import { contractSchemas, type JsonSchema } from './json-schemas.ts';

type Builder = Exclude<keyof Topics, 'prefix' | 'parse'>;

interface ChannelNote {
  readonly parameters: readonly string[];
  /** The exported schemas of what is said there. */
  readonly messages: readonly string[];
  readonly encoding: 'JSON' | 'CBOR' | 'JSON or CBOR';
  readonly qos: 0 | 1;
  readonly retain?: boolean;
  readonly sealed?: boolean;
  readonly says: string;
  /** What a client does there; what it does not is between the runtimes of the nodes. */
  readonly client?: 'send' | 'receive';
}

const ofJob = ['account', 'job'];
const ofQuery = ['account', 'client'];
const ofNode = ['node'];
const ofBlob = ['holder', 'requester'];

export const channelNotes: Readonly<Record<Builder, ChannelNote>> = {
  jobSpec: {
    parameters: ofJob,
    messages: ['jobSpec'],
    encoding: 'JSON or CBOR',
    qos: 1,
    client: 'send',
    says: 'Publishing a spec is submitting the job. May be retained: the leader clears it.',
  },
  jobState: {
    parameters: ofJob,
    messages: ['jobState'],
    encoding: 'JSON',
    qos: 1,
    retain: true,
    client: 'receive',
    says: 'Where a job stands, by the leader. A refusal is not retained.',
  },
  jobResult: {
    parameters: ofJob,
    messages: ['jobResult'],
    encoding: 'JSON',
    qos: 1,
    retain: true,
    client: 'receive',
    says: 'How a job ended, and what it gave.',
  },
  jobCancel: {
    parameters: ofJob,
    messages: ['jobCancel'],
    encoding: 'JSON or CBOR',
    qos: 1,
    client: 'send',
    says: 'Asks the leader to cancel a job.',
  },
  jobLogs: {
    parameters: ofJob,
    messages: ['jobLogs'],
    encoding: 'JSON',
    qos: 0,
    client: 'receive',
    says: 'What running tasks log, live, by the nodes.',
  },
  queryAsk: {
    parameters: ofQuery,
    messages: ['queryAsk'],
    encoding: 'JSON or CBOR',
    qos: 1,
    client: 'send',
    says: 'Questions to the leader.',
  },
  queryChange: {
    parameters: ofQuery,
    messages: ['queryAsk'],
    encoding: 'JSON or CBOR',
    qos: 1,
    client: 'send',
    says: 'Questions that change the mesh: of owners alone.',
  },
  queryAnswer: {
    parameters: ofQuery,
    messages: ['queryAnswer'],
    encoding: 'JSON',
    qos: 1,
    client: 'receive',
    says: 'The answers of the leader.',
  },
  blobAsk: {
    parameters: ofBlob,
    messages: ['blobAsk'],
    encoding: 'CBOR',
    qos: 1,
    client: 'send',
    says: 'Requests to who holds blobs.',
  },
  blobAnswer: {
    parameters: ofBlob,
    messages: ['blobAnswer'],
    encoding: 'CBOR',
    qos: 1,
    client: 'receive',
    says: 'The answers of who holds blobs.',
  },
  leader: {
    parameters: [],
    messages: ['leaderHint'],
    encoding: 'JSON',
    qos: 1,
    retain: true,
    sealed: true,
    client: 'receive',
    says: 'Who leads, and who holds blobs: a hint.',
  },
  events: {
    parameters: [],
    messages: ['meshEvent'],
    encoding: 'JSON',
    qos: 0,
    client: 'receive',
    says: 'What happens, for people.',
  },
  nodeStatus: {
    parameters: ofNode,
    messages: ['nodeStatus'],
    encoding: 'JSON',
    qos: 1,
    retain: true,
    sealed: true,
    client: 'receive',
    says: 'What a node offers; also its last will.',
  },
  nodeMetrics: {
    parameters: ofNode,
    messages: ['nodeMetrics'],
    encoding: 'CBOR',
    qos: 0,
    sealed: true,
    client: 'receive',
    says: 'What a node has measured, in batches.',
  },
  nodeInbox: {
    parameters: ofNode,
    messages: ['inboxEnvelope'],
    encoding: 'CBOR',
    qos: 1,
    sealed: true,
    says: 'From the leader to a node.',
  },
  nodeOutbox: {
    parameters: ofNode,
    messages: ['outboxEnvelope'],
    encoding: 'CBOR',
    qos: 1,
    sealed: true,
    says: 'From a node to the leader.',
  },
  raft: {
    parameters: ['to', 'from'],
    messages: ['raftEnvelope'],
    encoding: 'CBOR',
    qos: 0,
    sealed: true,
    says: 'From a voter to a voter or learner.',
  },
  forecast: {
    parameters: ofNode,
    messages: ['nodeForecast'],
    encoding: 'JSON',
    qos: 1,
    retain: true,
    client: 'receive',
    says: 'What a node will have to spare, by the leader, made anew every minute.',
  },
};

const placeholder = (parameter: string) => `x-${parameter}-x`;

/** `foremesh/v1/{mesh}/jobs/{account}/{job}/spec`, of the very code that makes topics. */
export function addressOf(builder: Builder): string {
  const { parameters } = channelNotes[builder];
  const build = new Topics(placeholder('mesh'))[builder] as (...segments: string[]) => string;
  const topic = build.call(new Topics(placeholder('mesh')), ...parameters.map(placeholder));
  return topic.replaceAll(/x-(\w+)-x/g, '{$1}');
}

export function asyncApiDocument(): JsonSchema {
  const schemas = contractSchemas((name) => `#/components/schemas/${name}`);
  const notes = Object.entries(channelNotes) as [Builder, ChannelNote][];
  const used = new Set<string>();
  const use = (value: unknown): void => {
    for (const [, name] of JSON.stringify(value).matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      if (used.has(name!)) continue;
      used.add(name!);
      use(schemas[name!]);
    }
  };
  const messages = [...new Set(notes.flatMap(([, note]) => note.messages))];
  use(messages.map((name) => ({ $ref: `#/components/schemas/${name}` })));
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Foremesh',
      version: releaseOf(),
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
      description:
        'The topics of a mesh, and what is said there, from the side of a client. Written by `npm run docs` from the code; docs/contract.md explains it. ' +
        `A payload is JSON in UTF-8 when its first byte is "{", else CBOR (RFC 8949), and has at most ${limits.payloadBytes} bytes. ` +
        'Readers ignore keys that they do not know, but for those of a spec.',
    },
    defaultContentType: 'application/json',
    servers: {
      broker: {
        host: '{host}:{port}',
        protocol: 'mqtt',
        protocolVersion: '3.1.1',
        description:
          'MQTT over TCP on port 1883, over TLS on 8883 (`mqtts`), over WebSocket on path /mqtt of 8083 or of the TLS port.',
        variables: { host: { default: 'localhost' }, port: { default: '1883' } },
        security: [{ $ref: '#/components/securitySchemes/account' }],
      },
    },
    channels: Object.fromEntries(notes.map(([name, note]) => [name, channelOf(name, note)])),
    operations: Object.fromEntries(notes.flatMap(([name, note]) => operationOf(name, note))),
    components: {
      securitySchemes: { account: { type: 'userPassword', description: "The account's name and password." } },
      messages: Object.fromEntries(messages.map((name) => [name, messageOf(name, notes, schemas)])),
      schemas: Object.fromEntries(Object.entries(schemas).filter(([name]) => used.has(name))),
    },
  };
}

function channelOf(
  name: Builder,
  { parameters, messages, encoding, qos, retain, sealed, says }: ChannelNote,
): JsonSchema {
  const seal =
    sealed === true ? ' Sealed: behind the body stand a newline and the signature of the node, 89 bytes.' : '';
  return {
    address: addressOf(name),
    description: `${says} ${encoding}, QoS ${qos}${retain === true ? ', retained' : ''}.${seal}`,
    messages: Object.fromEntries(messages.map((each) => [each, { $ref: `#/components/messages/${each}` }])),
    parameters: Object.fromEntries(
      ['mesh', ...parameters].map((each) => [each, { description: '1 to 64 of A-Z a-z 0-9 _ -' }]),
    ),
  };
}

function operationOf(name: Builder, { client, qos, retain = false, says }: ChannelNote): [string, JsonSchema][] {
  if (client === undefined) return [];
  const operation = {
    action: client,
    channel: { $ref: `#/channels/${name}` },
    summary: says,
    bindings: { mqtt: { qos, retain, bindingVersion: '0.2.0' } },
  };
  return [[`${client}${name[0]!.toUpperCase()}${name.slice(1)}`, operation]];
}

function messageOf(
  name: string,
  notes: readonly (readonly [string, ChannelNote])[],
  schemas: Readonly<Record<string, JsonSchema>>,
): JsonSchema {
  const { encoding } = notes.find(([, note]) => note.messages.includes(name))![1];
  const description = schemas[name]!.description;
  return {
    name,
    contentType: encoding === 'CBOR' ? 'application/cbor' : 'application/json',
    ...(description === undefined ? {} : { description }),
    payload: { $ref: `#/components/schemas/${name}` },
  };
}

function releaseOf(): string {
  const manifest = readFileSync(join(import.meta.dirname, '../package.json'), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
