"""What Tensorpack has and is left out here, by name, so that whoever asks for it is told so."""

from __future__ import annotations

PAGE = "docs/migrating/tensorpack.md"

TRAINING = """
    AccumGradOptimizer AsyncMultiGPUTrainer AutoResumeTrainConfig AvgPooling BNReLU BatchNorm BatchQueueInput Callback
    Callbacks ClassificationError ConcatWith Conv2D Conv2DTranspose DataParallelInferenceRunner Deconv2D DictRestore
    Dropout DummyConstantInput EstimatedTimeLeft FeedInput FeedfreePredictor FullyConnected GPUUtilizationTracker
    GlobalAvgPooling GlobalNormClip HorovodTrainer HumanHyperParamSetter HyperParamSetter HyperParamSetterWithFunc
    InferenceRunner Inferencer InputDesc InputSource InstanceNorm LayerNorm LinearWrap MaxPooling MaxSaver
    MergeAllSummaries MinSaver ModelDesc ModelDescBase ModelExporter ModelSaver Monitors MovingAverageSummary
    MultiTowerOfflinePredictor OfflinePredictor OnlinePredictor PReLU PeriodicCallback PeriodicTrigger PlaceholderInput
    PredictConfig ProgressBar QueueInput QueueInputTrainer RunOp RunUpdateOps SaverRestore ScalarPrinter ScalarStats
    ScheduledHyperParamSetter SendStat SessionInit SimpleTrainer SmartInit StagingInput StartProcOrThread
    StatMonitorParamSetter SyncMultiGPUTrainer SyncMultiGPUTrainerParameterServer SyncMultiGPUTrainerReplicated
    TFDatasetInput TFEventWriter TensorInput TensorPrinter ThroughputTracker TowerContext TowerFuncWrapper TowerTrainer
    TrainConfig Trainer ZMQInput add_moving_summary add_param_summary argscope auto_reuse_variable_scope
    callbacks get_current_tower_context get_global_step_var get_model_loader graph_builder input_source
    launch_train_with_config layer_register models optimizer predict regularize_cost summary tfutils tfv1 train
"""
DATA_SETS = """
    BSDS500 Caltech101Silhouettes Cifar10 Cifar100 CifarBase SVHNDigit
"""
BESIDE = "compatible_serialize concurrency debug develop gpu loadcaffe naming nvml palette viz"


class LeftOut(ImportError):
    """Something of Tensorpack's that Penstock does not have."""


def left_out(module: str, name: str) -> LeftOut:
    """Return the error that says so."""
    if name in DATA_SETS.split() or name == "download":
        reason = "nothing is downloaded; read the files with a flow of your own"
    elif name in TRAINING.split():
        reason = "only what concerns data is here; import it from Tensorpack"
    else:
        reason = "it does not concern data, or nothing reads it any more"
    full = ".".join(filter(None, ("tensorpack", module, name)))
    return LeftOut(f"{full} is left out of penstock.compat: {reason}. See {PAGE}.")
