"""A short example for each section of the search-space file, which the page on its keys shows."""

from __future__ import annotations

EXAMPLES = {
    "study": """\
study: {name: flowers, seed: 0, directory: /data/studies}
""",
    "data": """\
data:
  source: image_folder
  root: flowers              # train/CLASS/*.jpg, test/CLASS/*.jpg
  image_size: 64
  validation: 0.15
""",
    "data.table": """\
data:
  source: table
  table: {file: birds.csv, image: file, target: species, split: part}
  image_size: 64
""",
    "data.unlabelled": """\
data:
  source: image_folder
  root: flowers
  unlabelled: {root: photos}  # any layout
  image_size: 64
""",
    "data.unlabelled.table": """\
data:
  source: table
  table: {file: birds.csv, target: species}
  unlabelled: {table: {file: more.csv}}
  image_size: 64
""",
    "data.augment": """\
data:
  source: digits
  augment: {crop: 4, flip: true, rotation: 10}
""",
    "data.augment.random_resized_crop": """\
data:
  source: digits
  augment: {random_resized_crop: {scale: [0.5, 1]}}
""",
    "data.augment.rand_augment": """\
data:
  source: digits
  augment: {rand_augment: {operations: 2, magnitude: 9}}
""",
    "data.augment.color_jitter": """\
data:
  source: digits
  augment: {color_jitter: {brightness: 0.4, contrast: 0.4}}
""",
    "data.augment.random_erasing": """\
data:
  source: digits
  augment: {random_erasing: {probability: 0.1}}
""",
    "data.strong_augment": """\
data:
  source: digits
  labels: 100
  augment: {crop: 1}
  strong_augment: {rand_augment: {}, cutout: 4}
methods: [none, fixmatch, noisy_student]
""",
    "target": """\
data: {source: image_folder, root: studio, image_size: 64}
target: {source: image_folder, root: phone, labels: 20}  # 20 of its training images have a class
""",
    "target.table": """\
target:
  source: table
  table: {file: phone.csv, image: file, target: species}
""",
    "target.unlabelled": """\
target:
  source: image_folder
  root: phone                # validation and test are drawn from these
  unlabelled: {root: more}
""",
    "problem": """\
data: {source: digits}
problem:
  tasks: {digit: class, ink: value}
  weighting: uncertainty
search: {objective: digit/accuracy}
""",
    "problem.tasks": """\
data: {source: digits}
problem:
  tasks:
    digit: class
    ink: {kind: value, weight: {low: 0.1, high: 3, log: true}}
""",
    "teacher": """\
teacher:
  model: {family: torchvision/resnet50}
  checkpoint: resnet50.safetensors
""",
    "teacher.model": """\
teacher:
  model: {family: resnet, depth: 32, width: 4}
""",
    "teacher.model.weights": """\
teacher:
  model: {family: torchvision/resnet50, weights: IMAGENET1K_V2}
""",
    "teacher.model.normalise": """\
teacher:
  model:
    family: torchvision/resnet50
    normalise: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}
  checkpoint: resnet50.pth
""",
    "teacher.training": """\
teacher:
  model: {family: convnet, width: 2, depth: 3}
  training: {epochs: 90, lr: 0.05, warmup_epochs: 3}
""",
    "teachers": """\
teachers:
  wide: {model: {family: wide_resnet, depth: 40, width: 2}}
""",
    "teaching": """\
teachers:
  wide: {model: {family: wide_resnet, depth: 40, width: 2}}
teaching: {by: [teacher, wide, average, born_again]}
""",
    "students": """\
students:
  - {family: convnet, width: {low: 0.2, high: 1.5, log: true}, depth: {choices: [2, 3]}}
  - {family: torchvision/resnet18, width: {low: 0.25, high: 1.0, log: true}}
""",
    "students.weights": """\
students:
  - {family: convnet, width: 0.5, depth: 2, weights: {source: mine.safetensors}}
""",
    "students.normalise": """\
students:
  - family: timm/mobilenetv3_small_100
    weights: mine.pth
    normalise: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}
    image_size: {choices: [48, 64]}
""",
    "methods": """\
methods:
  none: {}                                           # the undistilled baseline
  kd: {temperature: {low: 1, high: 10, log: true}}   # the rest by kd's own search range
  kd+fitnet: {fitnet.weight: 100, kd.decay: 1}       # a sum of two terms
""",
    "training": """\
training:
  epochs: 30
  lr: {low: 0.01, high: 0.2, log: true}
  weight_decay: {low: 1.0e-5, high: 1.0e-3, log: true}
  label_smoothing: {choices: [0.0, 0.1]}
""",
    "training.fine_tuning": """\
teacher:
  model: {family: torchvision/resnet50, weights: resnet50.safetensors}
  training: {epochs: 10, lr: 0.01, fine_tuning: {head_epochs: 2, layer_decay: 0.75}}
students:
  - {family: torchvision/resnet18, weights: resnet18.safetensors}
training: {epochs: 20, ema: 0.999, fine_tuning: {freeze: 1, pretrained_lr: 0.1}}
""",
    "search": """\
search:
  trials: 200
  max_hours: 8
  objective: macro_f1
  size: [parameters, latency]
  max_parameters: 1000000
  require: {accuracy: 0.8}
""",
    "search.scheduler": """\
search:
  trials: 200
  scheduler: {name: halving, reduction: 3}
""",
    "search.ladder": """\
search:
  strategy: ladder
  trials: 25
  ladder: {settings: 0.4, factor: 1.3, link: 0.33}
""",
    "latency": """\
latency: {command: "ssh board ./bench", timeout: 60}
search: {size: [latency, parameters], max_latency: 5000}
""",
    "finalists": """\
finalists: {seeds: 5, max: 4, share: 0.5}
""",
    "resources": """\
resources: {concurrent: 4, cpus_per_trial: 4, gpus_per_trial: 0.5}
""",
    "cache": """\
cache: {disk_gb: 100, dtype: float16}
""",
    "tracking": """\
tracking: {uri: "http://mlflow.example:5000", experiment: flowers}
""",
}
"""YAML by the dotted name of the section."""
