"""Installation of ssrl_brain; exact tested versions: constraints.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(
    r'__version__ = "(.+)"', (ROOT / "ssrl_brain/__init__.py").read_text()
).group(1)
IS_LINUX_X86 = "sys_platform == 'linux' and platform_machine == 'x86_64'"
FFMPEG = "av>=14"  # PyAV: its wheels bring FFmpeg along

setup(
    name="ssrl_brain",
    version=VERSION,
    description="Self-supervised speaker embeddings for SpeechBrain",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The ssrl_brain developers",
    license="Apache-2.0",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Topic :: Multimedia :: Sound/Audio :: Speech",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    keywords="speaker verification, self-supervised learning, SpeechBrain",
    packages=find_packages(include=["ssrl_brain", "ssrl_brain.*"]),
    # Links in the repository; a wheel holds the files themselves.
    package_data={
        "ssrl_brain": [
            "recipe/hparams/*.yaml",
            "recipe/hparams/*/*.yaml",
            "recipe/chains/*.yaml",
            "recipe/chains/*/*.yaml",
            "system/*.yaml",
        ]
    },
    entry_points={"console_scripts": ["ssrl-brain = ssrl_brain.cli:console"]},
    python_requires=">=3.10,<3.14",
    install_requires=[
        "torch>=2.7.1,<2.12",
        "torchaudio>=2.7.1,<2.12",
        "speechbrain>=1.1.2,<1.2",
        "hyperpyyaml>=1.2.3",
        "ruamel.yaml>=0.17",
        "numpy",
        "scipy",
        "scikit-learn",
        "soundfile>=0.12",
        "huggingface_hub",
        "tqdm",
        "matplotlib>=3.10",
        "pillow>=10",
        # The GPU build runs without a GPU as well; never install both.
        f"faiss-gpu>=1.9; {IS_LINUX_X86}",
        "faiss-cpu>=1.9; sys_platform != 'linux'"
        " or platform_machine != 'x86_64'",
    ],
    extras_require={
        "demo": ["espeakng-loader"],
        "m4a": [FFMPEG],
        "tensorboard": ["tensorboard"],
        "video": [FFMPEG],
        "test": [
            "pytest",
            "pytest-xdist",
            "hypothesis",
            "ruff",
            "POT",
            "espeakng-loader",
            "webdataset",
            "setuptools>=70.1",  # builds the wheel that a test installs
            FFMPEG,
        ],
    },
)
