"""Made by `tools/grpc_modules.py` from `open_inference.proto`; change that one and make this one again."""

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_DEFINITION = (
    b"\n\x14open_inference.proto\x12\tinfere"
    b'nce"\x13\n\x11ServerLiveRequest"(\n\x12Se'
    b"rverLiveResponse\x12\x12\n\x04live\x18\x01 \x01(\x08"
    b'R\x04live"\x14\n\x12ServerReadyRequest"+'
    b"\n\x13ServerReadyResponse\x12\x14\n\x05ready"
    b'\x18\x01 \x01(\x08R\x05ready"A\n\x11ModelReadyReq'
    b"uest\x12\x12\n\x04name\x18\x01 \x01(\tR\x04name\x12\x18\n\x07ve"
    b'rsion\x18\x02 \x01(\tR\x07version"*\n\x12ModelR'
    b"eadyResponse\x12\x14\n\x05ready\x18\x01 \x01(\x08R\x05r"
    b'eady"\x17\n\x15ServerMetadataRequest"'
    b"f\n\x16ServerMetadataResponse\x12\x12\n\x04n"
    b"ame\x18\x01 \x01(\tR\x04name\x12\x18\n\x07version\x18\x02 \x01"
    b"(\tR\x07version\x12\x1e\n\nextensions\x18\x03 \x03("
    b'\tR\nextensions"D\n\x14ModelMetadata'
    b"Request\x12\x12\n\x04name\x18\x01 \x01(\tR\x04name\x12\x18\n"
    b'\x07version\x18\x02 \x01(\tR\x07version"\xcf\x02\n\x15Mo'
    b"delMetadataResponse\x12\x12\n\x04name\x18\x01 "
    b"\x01(\tR\x04name\x12\x1a\n\x08versions\x18\x02 \x03(\tR\x08v"
    b"ersions\x12\x1a\n\x08platform\x18\x03 \x01(\tR\x08pla"
    b"tform\x12G\n\x06inputs\x18\x04 \x03(\x0b2/.infere"
    b"nce.ModelMetadataResponse.Tens"
    b"orMetadataR\x06inputs\x12I\n\x07outputs\x18"
    b"\x05 \x03(\x0b2/.inference.ModelMetadat"
    b"aResponse.TensorMetadataR\x07outp"
    b"uts\x1aV\n\x0eTensorMetadata\x12\x12\n\x04name\x18"
    b"\x01 \x01(\tR\x04name\x12\x1a\n\x08datatype\x18\x02 \x01(\tR"
    b"\x08datatype\x12\x14\n\x05shape\x18\x03 \x03(\x03R\x05shap"
    b'e"\xd7\x01\n\x0eInferParameter\x12\x1f\n\nbool_p'
    b"aram\x18\x01 \x01(\x08H\x00R\tboolParam\x12!\n\x0bint"
    b"64_param\x18\x02 \x01(\x03H\x00R\nint64Param\x12#"
    b"\n\x0cstring_param\x18\x03 \x01(\tH\x00R\x0bstring"
    b"Param\x12#\n\x0cdouble_param\x18\x04 \x01(\x01H\x00R"
    b"\x0bdoubleParam\x12#\n\x0cuint64_param\x18\x05"
    b" \x01(\x04H\x00R\x0buint64ParamB\x12\n\x10paramet"
    b'er_choice"\xc3\x02\n\x13InferTensorConte'
    b"nts\x12#\n\rbool_contents\x18\x01 \x03(\x08R\x0cbo"
    b"olContents\x12!\n\x0cint_contents\x18\x02 \x03"
    b"(\x05R\x0bintContents\x12%\n\x0eint64_conte"
    b"nts\x18\x03 \x03(\x03R\rint64Contents\x12#\n\rui"
    b"nt_contents\x18\x04 \x03(\rR\x0cuintContent"
    b"s\x12'\n\x0fuint64_contents\x18\x05 \x03(\x04R\x0eui"
    b"nt64Contents\x12#\n\rfp32_contents\x18"
    b"\x06 \x03(\x02R\x0cfp32Contents\x12#\n\rfp64_co"
    b"ntents\x18\x07 \x03(\x01R\x0cfp64Contents\x12%\n\x0e"
    b"bytes_contents\x18\x08 \x03(\x0cR\rbytesCon"
    b'tents"\x9d\x08\n\x11ModelInferRequest\x12\x1d\n'
    b"\nmodel_name\x18\x01 \x01(\tR\tmodelName\x12#"
    b"\n\rmodel_version\x18\x02 \x01(\tR\x0cmodelVe"
    b"rsion\x12\x0e\n\x02id\x18\x03 \x01(\tR\x02id\x12L\n\nparam"
    b"eters\x18\x04 \x03(\x0b2,.inference.ModelI"
    b"nferRequest.ParametersEntryR\np"
    b"arameters\x12E\n\x06inputs\x18\x05 \x03(\x0b2-.in"
    b"ference.ModelInferRequest.Infe"
    b"rInputTensorR\x06inputs\x12Q\n\x07output"
    b"s\x18\x06 \x03(\x0b27.inference.ModelInfer"
    b"Request.InferRequestedOutputTe"
    b"nsorR\x07outputs\x12,\n\x12raw_input_con"
    b"tents\x18\x07 \x03(\x0cR\x10rawInputContents\x1a"
    b"\xcd\x02\n\x10InferInputTensor\x12\x12\n\x04name\x18\x01"
    b" \x01(\tR\x04name\x12\x1a\n\x08datatype\x18\x02 \x01(\tR\x08"
    b"datatype\x12\x14\n\x05shape\x18\x03 \x03(\x03R\x05shape"
    b"\x12]\n\nparameters\x18\x04 \x03(\x0b2=.inferen"
    b"ce.ModelInferRequest.InferInpu"
    b"tTensor.ParametersEntryR\nparam"
    b"eters\x12:\n\x08contents\x18\x05 \x01(\x0b2\x1e.infe"
    b"rence.InferTensorContentsR\x08con"
    b"tents\x1aX\n\x0fParametersEntry\x12\x10\n\x03ke"
    b"y\x18\x01 \x01(\tR\x03key\x12/\n\x05value\x18\x02 \x01(\x0b2\x19."
    b"inference.InferParameterR\x05valu"
    b"e:\x028\x01\x1a\xf3\x01\n\x1aInferRequestedOutput"
    b"Tensor\x12\x12\n\x04name\x18\x01 \x01(\tR\x04name\x12g\n\n"
    b"parameters\x18\x02 \x03(\x0b2G.inference.M"
    b"odelInferRequest.InferRequeste"
    b"dOutputTensor.ParametersEntryR"
    b"\nparameters\x1aX\n\x0fParametersEntry"
    b"\x12\x10\n\x03key\x18\x01 \x01(\tR\x03key\x12/\n\x05value\x18\x02 "
    b"\x01(\x0b2\x19.inference.InferParameter"
    b"R\x05value:\x028\x01\x1aX\n\x0fParametersEntry"
    b"\x12\x10\n\x03key\x18\x01 \x01(\tR\x03key\x12/\n\x05value\x18\x02 "
    b"\x01(\x0b2\x19.inference.InferParameter"
    b'R\x05value:\x028\x01"\xdf\x05\n\x12ModelInferResp'
    b"onse\x12\x1d\n\nmodel_name\x18\x01 \x01(\tR\tmode"
    b"lName\x12#\n\rmodel_version\x18\x02 \x01(\tR\x0c"
    b"modelVersion\x12\x0e\n\x02id\x18\x03 \x01(\tR\x02id\x12M"
    b"\n\nparameters\x18\x04 \x03(\x0b2-.inference"
    b".ModelInferResponse.Parameters"
    b"EntryR\nparameters\x12I\n\x07outputs\x18\x05"
    b" \x03(\x0b2/.inference.ModelInferRes"
    b"ponse.InferOutputTensorR\x07outpu"
    b"ts\x12.\n\x13raw_output_contents\x18\x06 \x03("
    b"\x0cR\x11rawOutputContents\x1a\xd0\x02\n\x11Infer"
    b"OutputTensor\x12\x12\n\x04name\x18\x01 \x01(\tR\x04na"
    b"me\x12\x1a\n\x08datatype\x18\x02 \x01(\tR\x08datatype"
    b"\x12\x14\n\x05shape\x18\x03 \x03(\x03R\x05shape\x12_\n\npara"
    b"meters\x18\x04 \x03(\x0b2?.inference.Model"
    b"InferResponse.InferOutputTenso"
    b"r.ParametersEntryR\nparameters\x12"
    b":\n\x08contents\x18\x05 \x01(\x0b2\x1e.inference."
    b"InferTensorContentsR\x08contents\x1a"
    b"X\n\x0fParametersEntry\x12\x10\n\x03key\x18\x01 \x01("
    b"\tR\x03key\x12/\n\x05value\x18\x02 \x01(\x0b2\x19.infere"
    b"nce.InferParameterR\x05value:\x028\x01\x1a"
    b"X\n\x0fParametersEntry\x12\x10\n\x03key\x18\x01 \x01("
    b"\tR\x03key\x12/\n\x05value\x18\x02 \x01(\x0b2\x19.infere"
    b'nce.InferParameterR\x05value:\x028\x01"'
    b"\xba\x01\n\x18ModelRepositoryParameter\x12\x1f"
    b"\n\nbool_param\x18\x01 \x01(\x08H\x00R\tboolPara"
    b"m\x12!\n\x0bint64_param\x18\x02 \x01(\x03H\x00R\nint6"
    b"4Param\x12#\n\x0cstring_param\x18\x03 \x01(\tH\x00"
    b"R\x0bstringParam\x12!\n\x0bbytes_param\x18\x04"
    b" \x01(\x0cH\x00R\nbytesParamB\x12\n\x10paramete"
    b'r_choice"W\n\x16RepositoryIndexReq'
    b"uest\x12'\n\x0frepository_name\x18\x01 \x01(\tR"
    b"\x0erepositoryName\x12\x14\n\x05ready\x18\x02 \x01(\x08"
    b'R\x05ready"\xca\x01\n\x17RepositoryIndexRes'
    b"ponse\x12E\n\x06models\x18\x01 \x03(\x0b2-.infere"
    b"nce.RepositoryIndexResponse.Mo"
    b"delIndexR\x06models\x1ah\n\nModelIndex"
    b"\x12\x12\n\x04name\x18\x01 \x01(\tR\x04name\x12\x18\n\x07versio"
    b"n\x18\x02 \x01(\tR\x07version\x12\x14\n\x05state\x18\x03 \x01("
    b"\tR\x05state\x12\x16\n\x06reason\x18\x04 \x01(\tR\x06reas"
    b'on"\x9f\x02\n\x1aRepositoryModelLoadRequ'
    b"est\x12'\n\x0frepository_name\x18\x01 \x01(\tR\x0e"
    b"repositoryName\x12\x1d\n\nmodel_name\x18\x02"
    b" \x01(\tR\tmodelName\x12U\n\nparameters\x18"
    b"\x03 \x03(\x0b25.inference.RepositoryMo"
    b"delLoadRequest.ParametersEntry"
    b"R\nparameters\x1ab\n\x0fParametersEntr"
    b"y\x12\x10\n\x03key\x18\x01 \x01(\tR\x03key\x129\n\x05value\x18\x02"
    b" \x01(\x0b2#.inference.ModelReposito"
    b'ryParameterR\x05value:\x028\x01"\x1d\n\x1bRepo'
    b'sitoryModelLoadResponse"\xa3\x02\n\x1cRe'
    b"positoryModelUnloadRequest\x12'\n\x0f"
    b"repository_name\x18\x01 \x01(\tR\x0ereposit"
    b"oryName\x12\x1d\n\nmodel_name\x18\x02 \x01(\tR\tm"
    b"odelName\x12W\n\nparameters\x18\x03 \x03(\x0b27"
    b".inference.RepositoryModelUnlo"
    b"adRequest.ParametersEntryR\npar"
    b"ameters\x1ab\n\x0fParametersEntry\x12\x10\n\x03"
    b"key\x18\x01 \x01(\tR\x03key\x129\n\x05value\x18\x02 \x01(\x0b2"
    b"#.inference.ModelRepositoryPar"
    b'ameterR\x05value:\x028\x01"\x1f\n\x1dRepositor'
    b'yModelUnloadResponse"F\n\x16ModelS'
    b"tatisticsRequest\x12\x12\n\x04name\x18\x01 \x01(\t"
    b"R\x04name\x12\x18\n\x07version\x18\x02 \x01(\tR\x07versi"
    b'on"9\n\x11StatisticDuration\x12\x14\n\x05cou'
    b"nt\x18\x01 \x01(\x04R\x05count\x12\x0e\n\x02ns\x18\x02 \x01(\x04R\x02n"
    b's"\xf2\x03\n\x0fInferStatistics\x126\n\x07succe'
    b"ss\x18\x01 \x01(\x0b2\x1c.inference.Statistic"
    b"DurationR\x07success\x120\n\x04fail\x18\x02 \x01("
    b"\x0b2\x1c.inference.StatisticDuratio"
    b"nR\x04fail\x122\n\x05queue\x18\x03 \x01(\x0b2\x1c.infer"
    b"ence.StatisticDurationR\x05queue\x12"
    b"A\n\rcompute_input\x18\x04 \x01(\x0b2\x1c.infer"
    b"ence.StatisticDurationR\x0ccomput"
    b"eInput\x12A\n\rcompute_infer\x18\x05 \x01(\x0b2"
    b"\x1c.inference.StatisticDurationR"
    b"\x0ccomputeInfer\x12C\n\x0ecompute_outpu"
    b"t\x18\x06 \x01(\x0b2\x1c.inference.StatisticD"
    b"urationR\rcomputeOutput\x129\n\tcach"
    b"e_hit\x18\x07 \x01(\x0b2\x1c.inference.Statis"
    b"ticDurationR\x08cacheHit\x12;\n\ncache"
    b"_miss\x18\x08 \x01(\x0b2\x1c.inference.Statis"
    b'ticDurationR\tcacheMiss"\x80\x02\n\x14Inf'
    b"erBatchStatistics\x12\x1d\n\nbatch_siz"
    b"e\x18\x01 \x01(\x04R\tbatchSize\x12A\n\rcompute_"
    b"input\x18\x02 \x01(\x0b2\x1c.inference.Statis"
    b"ticDurationR\x0ccomputeInput\x12A\n\rc"
    b"ompute_infer\x18\x03 \x01(\x0b2\x1c.inference"
    b".StatisticDurationR\x0ccomputeInf"
    b"er\x12C\n\x0ecompute_output\x18\x04 \x01(\x0b2\x1c.i"
    b"nference.StatisticDurationR\rco"
    b'mputeOutput"\xbf\x02\n\x0fModelStatistic'
    b"s\x12\x12\n\x04name\x18\x01 \x01(\tR\x04name\x12\x18\n\x07versi"
    b"on\x18\x02 \x01(\tR\x07version\x12%\n\x0elast_infe"
    b"rence\x18\x03 \x01(\x04R\rlastInference\x12'\n\x0f"
    b"inference_count\x18\x04 \x01(\x04R\x0einferen"
    b"ceCount\x12'\n\x0fexecution_count\x18\x05 \x01"
    b"(\x04R\x0eexecutionCount\x12C\n\x0finferenc"
    b"e_stats\x18\x06 \x01(\x0b2\x1a.inference.Infe"
    b"rStatisticsR\x0einferenceStats\x12@\n"
    b"\x0bbatch_stats\x18\x07 \x03(\x0b2\x1f.inference"
    b".InferBatchStatisticsR\nbatchSt"
    b'ats"V\n\x17ModelStatisticsResponse'
    b"\x12;\n\x0bmodel_stats\x18\x01 \x03(\x0b2\x1a.infere"
    b"nce.ModelStatisticsR\nmodelStat"
    b's"\x82\x01\n\nModelInput\x12\x12\n\x04name\x18\x01 \x01(\t'
    b"R\x04name\x120\n\tdata_type\x18\x02 \x01(\x0e2\x13.in"
    b"ference.DataTypeR\x08dataType\x12\x12\n\x04"
    b"dims\x18\x04 \x03(\x03R\x04dims\x12\x1a\n\x08optional\x18\x08"
    b' \x01(\x08R\x08optional"g\n\x0bModelOutput\x12'
    b"\x12\n\x04name\x18\x01 \x01(\tR\x04name\x120\n\tdata_ty"
    b"pe\x18\x02 \x01(\x0e2\x13.inference.DataTypeR"
    b'\x08dataType\x12\x12\n\x04dims\x18\x03 \x03(\x03R\x04dims"'
    b"\x93\x01\n\x12ModelVersionPolicy\x12D\n\x08spec"
    b"ific\x18\x03 \x01(\x0b2&.inference.ModelVe"
    b"rsionPolicy.SpecificH\x00R\x08specif"
    b"ic\x1a&\n\x08Specific\x12\x1a\n\x08versions\x18\x01 \x03"
    b'(\x03R\x08versionsB\x0f\n\rpolicy_choice"'
    b"3\n\x0eModelParameter\x12!\n\x0cstring_va"
    b'lue\x18\x01 \x01(\tR\x0bstringValue"\xc2\x03\n\x0bMod'
    b"elConfig\x12\x12\n\x04name\x18\x01 \x01(\tR\x04name\x12\x1a"
    b"\n\x08platform\x18\x02 \x01(\tR\x08platform\x12D\n\x0e"
    b"version_policy\x18\x03 \x01(\x0b2\x1d.inferen"
    b"ce.ModelVersionPolicyR\rversion"
    b"Policy\x12$\n\x0emax_batch_size\x18\x04 \x01(\x05"
    b"R\x0cmaxBatchSize\x12+\n\x05input\x18\x05 \x03(\x0b2"
    b"\x15.inference.ModelInputR\x05input\x12"
    b".\n\x06output\x18\x06 \x03(\x0b2\x16.inference.Mo"
    b"delOutputR\x06output\x12F\n\nparameter"
    b"s\x18\x0e \x03(\x0b2&.inference.ModelConfi"
    b"g.ParametersEntryR\nparameters\x12"
    b"\x18\n\x07backend\x18\x11 \x01(\tR\x07backend\x1aX\n\x0fP"
    b"arametersEntry\x12\x10\n\x03key\x18\x01 \x01(\tR\x03k"
    b"ey\x12/\n\x05value\x18\x02 \x01(\x0b2\x19.inference."
    b'ModelParameterR\x05value:\x028\x01"B\n\x12M'
    b"odelConfigRequest\x12\x12\n\x04name\x18\x01 \x01("
    b"\tR\x04name\x12\x18\n\x07version\x18\x02 \x01(\tR\x07vers"
    b'ion"E\n\x13ModelConfigResponse\x12.\n\x06'
    b"config\x18\x01 \x01(\x0b2\x16.inference.Model"
    b"ConfigR\x06config*\xfa\x01\n\x08DataType\x12\x10\n"
    b"\x0cTYPE_INVALID\x10\x00\x12\r\n\tTYPE_BOOL\x10\x01"
    b"\x12\x0e\n\nTYPE_UINT8\x10\x02\x12\x0f\n\x0bTYPE_UINT1"
    b"6\x10\x03\x12\x0f\n\x0bTYPE_UINT32\x10\x04\x12\x0f\n\x0bTYPE_U"
    b"INT64\x10\x05\x12\r\n\tTYPE_INT8\x10\x06\x12\x0e\n\nTYPE"
    b"_INT16\x10\x07\x12\x0e\n\nTYPE_INT32\x10\x08\x12\x0e\n\nTY"
    b"PE_INT64\x10\t\x12\r\n\tTYPE_FP16\x10\n\x12\r\n\tT"
    b"YPE_FP32\x10\x0b\x12\r\n\tTYPE_FP64\x10\x0c\x12\x0f\n\x0bT"
    b"YPE_STRING\x10\r\x12\r\n\tTYPE_BF16\x10\x0e2\xda\x07"
    b"\n\x14GRPCInferenceService\x12K\n\nServ"
    b"erLive\x12\x1c.inference.ServerLiveR"
    b"equest\x1a\x1d.inference.ServerLiveR"
    b'esponse"\x00\x12N\n\x0bServerReady\x12\x1d.inf'
    b"erence.ServerReadyRequest\x1a\x1e.in"
    b'ference.ServerReadyResponse"\x00\x12'
    b"K\n\nModelReady\x12\x1c.inference.Mode"
    b"lReadyRequest\x1a\x1d.inference.Mode"
    b'lReadyResponse"\x00\x12W\n\x0eServerMeta'
    b"data\x12 .inference.ServerMetadat"
    b"aRequest\x1a!.inference.ServerMet"
    b'adataResponse"\x00\x12T\n\rModelMetada'
    b"ta\x12\x1f.inference.ModelMetadataRe"
    b"quest\x1a .inference.ModelMetadat"
    b'aResponse"\x00\x12K\n\nModelInfer\x12\x1c.in'
    b"ference.ModelInferRequest\x1a\x1d.in"
    b'ference.ModelInferResponse"\x00\x12N'
    b"\n\x0bModelConfig\x12\x1d.inference.Mode"
    b"lConfigRequest\x1a\x1e.inference.Mod"
    b'elConfigResponse"\x00\x12Z\n\x0fModelSta'
    b"tistics\x12!.inference.ModelStati"
    b'sticsRequest\x1a".inference.Model'
    b'StatisticsResponse"\x00\x12Z\n\x0fReposi'
    b"toryIndex\x12!.inference.Reposito"
    b'ryIndexRequest\x1a".inference.Rep'
    b'ositoryIndexResponse"\x00\x12f\n\x13Repo'
    b"sitoryModelLoad\x12%.inference.Re"
    b"positoryModelLoadRequest\x1a&.inf"
    b"erence.RepositoryModelLoadResp"
    b'onse"\x00\x12l\n\x15RepositoryModelUnloa'
    b"d\x12'.inference.RepositoryModelU"
    b"nloadRequest\x1a(.inference.Repos"
    b'itoryModelUnloadResponse"\x00b\x06pr'
    b"oto3"
)
#: A pool of its own: other programs of this process may define the same names.
_POOL = DescriptorPool()
_POOL.AddSerializedFile(_DEFINITION)
DESCRIPTOR = _POOL.FindFileByName("open_inference.proto")

ServerLiveRequest = GetMessageClass(DESCRIPTOR.message_types_by_name["ServerLiveRequest"])
ServerLiveResponse = GetMessageClass(DESCRIPTOR.message_types_by_name["ServerLiveResponse"])
ServerReadyRequest = GetMessageClass(DESCRIPTOR.message_types_by_name["ServerReadyRequest"])
ServerReadyResponse = GetMessageClass(DESCRIPTOR.message_types_by_name["ServerReadyResponse"])
ModelReadyRequest = GetMessageClass(DESCRIPTOR.message_types_by_name["ModelReadyRequest"])
ModelReadyResponse = GetMessageClass(DESCRIPTOR.message_types_by_name["ModelReadyResponse"])
ServerMetadataRequest = GetMessageClass(DESCRIPTOR.message_types_by_name["ServerMetadataRequest"])
ServerMetadataResponse = GetMessageClass(DESCRIPTOR.message_types_by_name["ServerMetadataResponse"])
ModelMetadataRequest = GetMessageClass(DESCRIPTOR.message_types_by_name["ModelMetadataRequest"])
ModelMetadataResponse = GetMessageClass(DESCRIPTOR.message_types_by_name["ModelMetadataResponse"])
InferParameter = GetMessageClass(DESCRIPTOR.message_types_by_name["InferParameter"])
InferTensorContents = GetMessageClass(DESCRIPTOR.message_types_by_name["InferTensorContents"])
ModelInferRequest = GetMessageClass(DESCRIPTOR.message_types_by_name["ModelInferRequest"])
ModelInferResponse = GetMessageClass(DESCRIPTOR.message_types_by_name["ModelInferResponse"])
ModelRepositoryParameter = GetMessageClass(DESCRIPTOR.message_types_by_name["ModelRepositoryParameter"])
RepositoryIndexRequest = GetMessageClass(DESCRIPTOR.message_types_by_name["RepositoryIndexRequest"])
RepositoryIndexResponse = GetMessageClass(DESCRIPTOR.message_types_by_name["RepositoryIndexResponse"])
RepositoryModelLoadRequest = GetMessageClass(DESCRIPTOR.message_types_by_name["RepositoryModelLoadRequest"])
RepositoryModelLoadResponse = GetMessageClass(DESCRIPTOR.message_types_by_name["RepositoryModelLoadResponse"])
RepositoryModelUnloadRequest = GetMessageClass(DESCRIPTOR.message_types_by_name["RepositoryModelUnloadRequest"])
RepositoryModelUnloadResponse = GetMessageClass(DESCRIPTOR.message_types_by_name["RepositoryModelUnloadResponse"])
ModelStatisticsRequest = GetMessageClass(DESCRIPTOR.message_types_by_name["ModelStatisticsRequest"])
StatisticDuration = GetMessageClass(DESCRIPTOR.message_types_by_name["StatisticDuration"])
InferStatistics = GetMessageClass(DESCRIPTOR.message_types_by_name["InferStatistics"])
InferBatchStatistics = GetMessageClass(DESCRIPTOR.message_types_by_name["InferBatchStatistics"])
ModelStatistics = GetMessageClass(DESCRIPTOR.message_types_by_name["ModelStatistics"])
ModelStatisticsResponse = GetMessageClass(DESCRIPTOR.message_types_by_name["ModelStatisticsResponse"])
ModelInput = GetMessageClass(DESCRIPTOR.message_types_by_name["ModelInput"])
ModelOutput = GetMessageClass(DESCRIPTOR.message_types_by_name["ModelOutput"])
ModelVersionPolicy = GetMessageClass(DESCRIPTOR.message_types_by_name["ModelVersionPolicy"])
ModelParameter = GetMessageClass(DESCRIPTOR.message_types_by_name["ModelParameter"])
ModelConfig = GetMessageClass(DESCRIPTOR.message_types_by_name["ModelConfig"])
ModelConfigRequest = GetMessageClass(DESCRIPTOR.message_types_by_name["ModelConfigRequest"])
ModelConfigResponse = GetMessageClass(DESCRIPTOR.message_types_by_name["ModelConfigResponse"])
