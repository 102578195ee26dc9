/**
 * Every limit of the contract, by name. A limit that is passed is reported with its name, its value and what was found
 * (`MESH_LIMIT_EXCEEDED`). Units are last in the name.
 */
export const limits = {
  /** One MQTT payload. The smallest common denominator of the brokers we support; larger things are chunked. */
  payloadBytes: 262_144,
  /** The seal at the end of a payload, which counts into `payloadBytes`. */
  sealBytes: 89,
  /** One whole topic, UTF-8. */
  topicBytes: 200,
  topicLevels: 10,
  /** One topic segment or identifier. */
  identifierCharacters: 64,
  /** An account's name: what it asks of blob holders is asked under a name that begins with it. */
  accountCharacters: 48,
  /** A stage's name: its tasks are called `<stage>-4095`, `<stage>-merge`, and that must be an identifier. */
  stageCharacters: 58,
  /** Arrays and objects inside each other, in any message. */
  nestingLevels: 128,

  /** A blob up to this size is named by the SHA-256 of its bytes, a larger one by that of its manifest. */
  wholeBlobBytes: 262_144,
  /** The piece of a larger blob that has a hash of its own, and the most that one transfer message carries. */
  blobChunkBytes: 131_072,
  blobBytes: 4 * 1024 ** 3,
  /** Blobs that one answer of a holder lists as unused. */
  blobsPerSweep: 1_000,
  /** How often a leader looks for blobs that no job needs, at least, and how long it may take between a list and its removal. */
  blobSweepEveryMs: 600_000,
  blobSweepMs: 60_000,
  /** Requests that one transfer keeps in flight: back pressure. */
  blobWindowRequests: 4,
  /** Marks (record number, byte offset) of one record index: cuts are made at marks only. */
  indexMarks: 4_096,
  /** One record (a line, an item): what a task can be asked to hold in one piece. */
  recordBytes: 64 * 1024 ** 2,

  /** Code or input that stands in the spec itself. */
  inlineBytes: 65_536,
  /** A job's result inside the result message; a larger one is a blob reference. */
  inlineResultBytes: 65_536,
  /** An intermediate output inside its message and the log; a larger one is a blob. */
  inlineOutputBytes: 4_096,
  /** A task's description inside an assignment; a larger one is spilled to a blob. */
  inlineAssignBytes: 65_536,

  stagesPerJob: 64,
  tasksPerStage: 4_096,
  tasksPerJob: 10_000,
  jobsPerAccount: 1_000,
  /** Tasks of one account that are assigned to nodes at once; the others wait. */
  tasksAtOncePerAccount: 10_000,
  /** The blobs that the jobs of one account name, ended ones that are kept included, each counted once. */
  storedBytesPerAccount: 1024 ** 4,
  /** Accounts for which an owner has said other quotas than those of every account. */
  accountsWithQuota: 1_000,
  /** Jobs with a `schedule`; they count into `jobsPerAccount` too. */
  schedulesPerAccount: 100,
  /** A schedule's id: its occurrences are called `<schedule>-20261224T180000Z`, and that must be an identifier. */
  scheduleCharacters: 47,
  cronCharacters: 100,
  /** An occurrence that nobody could start within this time has been missed: see `catchUp`. */
  scheduleLateMs: 60_000,
  /** A leader whose clock differs more than this from the median of the fleet starts no schedule. */
  clockOffMs: 30_000,
  /** How long an ended job is kept, with its result, unless it says otherwise, and what it may say. */
  retentionMsDefault: 7 * 86_400_000,
  retentionMsLeast: 1_000,
  retentionMsMost: 366 * 86_400_000,
  /** Jobs that have not ended, over all accounts. */
  jobsAtOnce: 5_000,
  /** Of jobs that have ended the newest are kept whole, of those before only what became of them. */
  endedJobsKept: 1_000,
  endedTasksKept: 100_000,
  tombstonesKept: 10_000,
  /** Codes whose tasks are remembered, the last seen; tasks that are kept of each; and, of more, about how many the kept ones stand for. */
  profilesKept: 256,
  tasksPerProfile: 64,
  profileWindowTasks: 1_024,
  /** Specs that the log has not answered for yet, and their bytes, at each voter. */
  specsHeld: 1_000,
  specsHeldBytes: 64 * 1024 ** 2,
  labelsPerNode: 32,
  /** Why a node takes no work, or gives it back. */
  reasonCharacters: 200,
  /** Times of day in which an owner lets the mesh use a device. */
  hoursPerNode: 16,
  /** How far ahead a node says what its owner's hours and network budget will change, and how many changes. */
  offerAheadMs: 3_600_000,
  offerChanges: 16,
  codeBytes: 16 * 1024 ** 2,
  parametersBytes: 16_384,
  /** Arguments of a program (engine `wasm`), with a NUL behind each. */
  argumentsBytes: 16_384,
  argumentsPerStage: 256,
  /** Variables of a program's environment: `NAME=value`, with a NUL behind each. */
  environmentBytes: 16_384,
  environmentVariables: 256,
  /** Files that a stage gives its programs, and all of them together. Each process that runs them holds them beside their memory. */
  filesPerStage: 64,
  filesBytes: 256 * 1024 ** 2,
  filePathCharacters: 255,
  /** Tables of a WebAssembly module, and the elements that each may grow to; at the start, all together. */
  wasmTables: 16,
  wasmTableElements: 1_000_000,
  /** Files that a program has open at once. */
  wasmOpenFiles: 128,

  /** Voters and learners: a set of each, and the outgoing voters while they change. */
  votersPerMesh: 7,
  /** Links of the chain from the founder to the voters of today that are kept. */
  votersLinks: 32,
  /** The journal of a voter ends there. */
  journalBytes: 1024 ** 3,
  /** The longest that the mesh may be told to wait before it changes its voters. */
  voterPatienceMs: 30 * 86_400_000,
  /** Log entries in one message between voters. */
  entriesPerAppend: 1_024,
  /** A message between voters that is larger than a payload is cut into this many parts at most. */
  partsPerRaftMessage: 16,
  /** What one payload carries of a message between voters, or of a snapshot. */
  raftPartBytes: 196_608,
  snapshotBytes: 512 * 1024 ** 2,
  nodesPerMesh: 10_000,
  /** Keys of nodes that were removed, and may not come back; the oldest is forgotten. */
  removedNodesKept: 10_000,
  /** Addresses of one broker in a connection string. */
  addressesPerConnection: 8,
  /** `admission` of a status: a node's certificate, in base64url. */
  admissionCharacters: 2_048,
  /** What a machine that joins and the broker may say to each other in one message. */
  joiningBytes: 16_384,
  /** What is read of mDNS: a packet, its questions and records, and packets of one link in a second; what is beyond is dropped. */
  localPacketBytes: 1_500,
  localPacketRecords: 64,
  localPacketsPerSecond: 100,
  /** Networks of one machine in which a broker is announced, or looked for. */
  localLinks: 16,
  /** How far the clock of a machine that joins may be from the broker's. */
  clockDifferenceMs: 86_400_000,
  /** Other boots under a node's own id that its status names. */
  rivalsPerNode: 8,
  slotsPerNode: 256,
  /** Attempts that a node keeps waiting behind its slots. */
  queuePerNode: 256,
  outcomesHeldPerNode: 10_000,
  messagesPerEnvelope: 512,
  samplesPerBatch: 120,
  /** Samples of a node's history in one answer: more are asked for by `from`. */
  historySamplesPerAnswer: 1_000,
  /** Questions to nodes (history, preferences, allocations) that a leader waits with, and how long for each. */
  relayedQueries: 64,
  relayWaitMs: 8_000,
  /** Questions for its history that a node answers one after the other; more are dropped, and asked again. */
  historyRequestsHeld: 16,
  /** Steps of a forecast; and what is said of the model that made it. */
  forecastSteps: 240,
  forecastWhyCharacters: 500,
  /**
   * Steps of its past that a node's forecasts begin with, three days: a season is known when it comes the third time. And over all nodes: in a large mesh each tells less of its past.
   */
  forecastHistorySteps: 4_320,
  forecastHistoryStepsOfAll: 200_000,
  /** The least that is kept of what was learned of a node, to train models on (and no less than eight forecasts): where that is too much of all nodes, of as many as it is not. */
  forecastTrainingSteps: 240,
  /** Means of five minutes of the time before that tell of the seasons of a node, and when it was there: a month. And over all nodes. */
  forecastDistantMeans: 8_928,
  forecastDistantMeansOfAll: 1_000_000,
  /** Sessions of its past that a node's habits begin with, the newest: one whose runtime starts again and again has thousands. */
  sessionsPerNode: 100,
  /** A node that was away keeps its series, and these steps are missing in it; after more (a week) they begin anew. */
  forecastGapSteps: 10_080,
  /** Steps of one node whose samples are still gathered: what is older when it comes is left out. */
  forecastOpenSteps: 40,
  /** Series of each kind (CPU, memory) that have ARIMA as a challenger, the first that a leader hears of: a fit takes it milliseconds. */
  arimaSeriesPerKind: 64,
  /** What a leader does for its forecasts at once (four times a second): nodes that are forecast, steps of the past that are learned. */
  forecastNodesPerTick: 45,
  forecastStepsPerTick: 64,
  /** Nodes whose month of seasons it recalls in one round. */
  forecastRecallsPerTick: 2,
  /** The same of the past for each time that it is given between: 4 ms of a core of 2024, 20 ms on a Raspberry Pi 4. */
  forecastStepsBetweenTicks: 16,
  /** While the past of a node is learned it is forecast by its newest steps alone: by how many, and how many nodes at once, which takes a millisecond or two each. */
  forecastMeanwhileSteps: 288,
  forecastNodesMeanwhilePerTick: 2,
  /** Nodes whose history a leader asks for at the same time. */
  forecastHistoriesAtOnce: 16,
  logLineCharacters: 2_000,
  logLinesPerTask: 1_000,
  /** The end of what an attempt has logged that is kept once it has ended. */
  logTailBytes: 32_768,
  /** The same for all attempts of a job together; a quarter is for those that failed. */
  logBytesPerJob: 16 * 1024 ** 2,
  queryRows: 1_000,
  /** How sure a promise is, and a deadline is wanted, unless the job says. */
  confidenceDefault: 0.9,
  /** Tasks that a plan takes one by one: of a stage that has more, each stands for several. */
  planTasks: 1_024,
  planTasksPerStage: 256,
  /** Milliseconds of each minute that a leader computes plans which are asked for, for one account and for all: who asks for more is told when to ask again. */
  planMsPerAccount: 3_000,
  planMsOfAll: 6_000,
  /** Tasks that an answer to `why` names as those that are waited for. */
  whyNames: 32,
  /** Nodes whose state is kept with a task that was placed: those that would have run it fastest. */
  alternativesKept: 16,
  /** What a job may say that a second counts in a placement's cost. */
  costWeightMost: 1_000,
  /** Blobs of a node's cache that the leader knows of, those that came last. */
  nearBlobsPerNode: 256,
  /** Ways to move a task that are kept with the decision to move it, or to let it stay. */
  moveAlternatives: 4,
  /** Nodes that a result names: those that finished most tasks. */
  nodesPerResult: 1_000,

  /** Keys of authors whose code a node runs outside the sandbox of WebAssembly (engine `node`). */
  trustedKeysPerNode: 32,
  /** Names of code, by its author's key, of which a node remembers the highest version it has run. */
  acceptedCodesKept: 4_096,
  /** How long a signature of code may be good for. */
  manifestMsMost: 400 * 86_400_000,
  /** Processes and threads of one task of engine `node`, and the files it may write, all of them together. */
  taskProcesses: 96,
  taskScratchBytes: 64 * 1024 ** 2,
  /** What a task of engine `node` may say beside its output: log and progress. */
  taskSaidBytes: 64 * 1024 ** 2,
  /** What a task may use unless its stage says otherwise, and the most it may say. */
  memoryBytesDefault: 64 * 1024 ** 2,
  memoryBytesMost: 2 * 1024 ** 3,
  memoryBytesLeast: 4 * 1024 ** 2,
  /** How many times its memory a running task may be given. */
  memoryRaiseMost: 2,
  cpuMsDefault: 600_000,
  cpuMsMost: 24 * 3_600_000,
  wallMsDefault: 1_800_000,
  wallMsMost: 7 * 24 * 3_600_000,
  outputBytesDefault: 16 * 1024 ** 2,
  outputBytesMost: 256 * 1024 ** 2,
  /** What a stage may be estimated at. */
  estimateSecondsMost: 1_000_000_000,
  retriesDefault: 2,
  retriesMost: 10,
  /** A task that failed by its own fault on this many machines is poison. */
  poisonMachines: 3,
} as const;

export type LimitName = keyof typeof limits;
